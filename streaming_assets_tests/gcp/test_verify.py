"""`streaming-assets gcp verify` against what answers as Google's interfaces do: all is well, or one thing is not."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httplib2
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from googleapiclient.discovery import build
from typer.testing import CliRunner

from streaming_assets import settings as settings_module
from streaming_assets.cli import app
from streaming_assets.gcp.verify import CONSUME, Deployment
from streaming_assets.lake import factory, notifications
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.settings import Settings
from streaming_assets_tests.google_rest import Discovery, Recorder, Sent

NOW = datetime(2025, 3, 1, 5, 30, tzinfo=UTC)
SUBSCRIPTION = "projects/a-project/subscriptions/lake"
OBJECT = "raw/listen_events/date=2025-03-01 05:00:00+00/0000000000-00000000000000000000.gz"
COLUMN = {"fields": [{"name": "f0_", "type": "INTEGER", "mode": "NULLABLE"}]}


class Google:
    """BigQuery and Pub/Sub as terraform/ leaves them. `amiss` says what is not so."""

    def __init__(self) -> None:
        self.amiss = ""
        self.recorder = Recorder("bigquery.v2", self.answer)
        self.changed: list[str] = []
        self._queries: dict[str, str] = {}
        self._discovery = Discovery("pubsub.v1")

    def client(self, **_: Any) -> bigquery.Client:
        return bigquery.Client(
            project="a-project", location="US", credentials=AnonymousCredentials(), _http=self.recorder
        )

    def answer(self, sent: Sent) -> tuple[int, Any]:
        what = sent.method.removeprefix("bigquery.")
        if what == "datasets.get":
            name = sent.parameters["datasetId"]
            if self.amiss == f"no {name}":
                return _refusal(404, f"Not found: Dataset a-project:{name}")
            reference = {"projectId": "a-project", "datasetId": name}
            location = "EU" if self.amiss == f"{name} elsewhere" else "US"
            return 200, {"datasetReference": reference, "location": location}
        if what == "jobs.list":
            return _refusal(403, "Access Denied") if self.amiss == "no list of jobs" else (200, {"jobs": []})
        if what == "tables.delete":
            self.changed.append("drop")
            return 204, {}
        if what == "jobs.insert":
            return self._insert(sent)
        assert what in ("jobs.get", "jobs.getQueryResults"), what
        rows = "2" if self.amiss == "a MERGE that adds" and "verify_scratch" in self._of(sent) else "1"
        return 200, self._job(sent.parameters["jobId"]) | {
            "jobComplete": True,
            "schema": COLUMN,
            "rows": [{"f": [{"v": rows}]}],
            "totalRows": "1",
        }

    def _insert(self, sent: Sent) -> tuple[int, Any]:
        job = sent.body["jobReference"]["jobId"]
        query = sent.body["configuration"]["query"]["query"]
        if self.amiss == "no jobs":
            return _refusal(403, "Access Denied: Project a-project: User does not have bigquery.jobs.create")
        if "_ext`" in query and "where date" not in query and self.amiss != "no filter wanted":
            return _refusal(400, "Cannot query over table without a filter over column(s) 'date'")
        if "_ext`" in query and self.amiss == "no objects" and "where date" in query:
            return _refusal(403, "Access Denied: BigQuery: Permission denied while globbing file pattern.")
        least = sent.body["configuration"]["query"].get("maximumBytesBilled")
        if least == "1" and self.amiss != "no limit":
            return _refusal(400, "Query exceeded limit for bytes billed: 1. 10485760 or higher required.")
        self._queries[job] = query
        if "verify_scratch" in query and not query.startswith("select"):
            self.changed.append(query.split()[0])
        return 200, self._job(job)

    def _of(self, sent: Sent) -> str:
        return self._queries[sent.parameters["jobId"]]

    def _job(self, job: str) -> dict[str, Any]:
        return {
            "jobReference": {"projectId": "a-project", "jobId": job, "location": "US"},
            "status": {"state": "DONE"},
            "configuration": {"jobType": "QUERY", "query": {"query": self._queries[job]}},
            "statistics": {"query": {"totalBytesBilled": "10485760", "statementType": "SELECT"}},
        }

    def request(
        self, uri: str, method: str = "GET", body: Any = None, **_: Any
    ) -> tuple[httplib2.Response, bytes]:
        sent = self._discovery.check(method, uri, body)
        assert sent.method == "pubsub.projects.subscriptions.testIamPermissions"
        held = [] if self.amiss == "no right to pull" else sent.body["permissions"]
        answer = json.dumps({"permissions": held} if held else {}).encode()
        return httplib2.Response({"status": "200", "content-type": "application/json"}), answer

    def close(self) -> None: ...

    def pubsub(self) -> Any:
        return build("pubsub", "v1", http=self, static_discovery=True, cache_discovery=False)


def _refusal(status: int, message: str) -> tuple[int, Any]:
    reason = {400: "invalidQuery", 403: "accessDenied", 404: "notFound"}[status]
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason}]}}


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    lake = FolderLake(tmp_path / "lake")
    lake.write(OBJECT, b"x")
    return lake


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        target="gcp",
        gcp_project="a-project",
        lake_url="gs://bucket",
        pubsub_subscription=SUBSCRIPTION,
    )


@pytest.fixture
def deployment(google: Google, lake: FolderLake, settings: Settings) -> Deployment:
    return Deployment(settings, google.client(), lake, google.pubsub)


def bad(deployment: Deployment) -> dict[str, str]:
    """What is not good, with what was found in its place."""
    found = ((check.what, check.found()) for check in all_checks(deployment))
    return {what: one.text for what, one in found if not one.is_good}


def all_checks(deployment: Deployment) -> Iterator[Any]:
    yield from deployment.checks(NOW)
    yield from deployment.writing_checks(NOW)


def test_a_deployment_as_terraform_leaves_it_is_good(deployment: Deployment) -> None:
    found = {check.what: check.found().text for check in all_checks(deployment)}
    assert not bad(deployment)
    assert found["listen_events_ext is read by its hour"] == "1 lines, 10,485,760 bytes billed"
    assert found["objects may be listed and read"] == f"{OBJECT}, 1 bytes"
    assert found["the subscription may be pulled"] == CONSUME
    assert found["a MERGE replaces an hour's rows"] == "1 row"
    assert len(found) == 20


@pytest.mark.parametrize(
    ("amiss", "what", "said"),
    [
        ("no jobs", "jobs may be sent", "does not have bigquery.jobs.create"),
        ("no list of jobs", "jobs may be listed", "Access Denied"),
        ("no streaming_assets_readers", "dataset streaming_assets_readers is where jobs run", "Not found"),
        ("streaming_assets elsewhere", "dataset streaming_assets is where jobs run", "EU"),
        ("no objects", "listen_events_ext is read by its hour", "Permission denied while globbing"),
        ("no filter wanted", "listen_events_ext is not read without one", "accepted"),
        ("no right to pull", "the subscription may be pulled", "no right"),
        ("a MERGE that adds", "a MERGE replaces an hour's rows", "2 rows"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else None,
)
def test_what_is_amiss_is_named(
    google: Google, deployment: Deployment, amiss: str, what: str, said: str
) -> None:
    google.amiss = amiss
    assert said in bad(deployment)[what]


def test_a_query_that_is_not_limited_is_named(google: Google, deployment: Deployment) -> None:
    google.amiss = "no limit"
    ((what, said),) = bad(deployment).items()
    assert what.startswith(
        "a query over its limit is refused; STREAMING_ASSETS_BIGQUERY_MAXIMUM_BYTES_BILLED"
    )
    assert what.endswith("lets one cost 6.25 USD")
    assert said == "accepted"


def test_a_lake_without_objects_is_named(deployment: Deployment, lake: FolderLake) -> None:
    (entry,) = lake.list("raw/")
    lake.remove(OBJECT, entry.generation)
    assert bad(deployment) == {
        "objects may be listed and read": "no object yet: the sink has written nothing"
    }


def test_nothing_is_written_unless_asked_for(
    google: Google, deployment: Deployment, lake: FolderLake
) -> None:
    for check in deployment.checks(NOW):
        check.found()
    assert (google.changed, list(lake.list("leases/"))) == ([], [])
    for check in deployment.writing_checks(NOW):
        check.found()
    assert google.changed == ["create", "merge", "merge", "drop"]
    assert list(lake.list("leases/")) == []


def test_the_scratch_table_goes_even_if_the_merge_fails(google: Google, deployment: Deployment) -> None:
    google.amiss = "no jobs"
    for check in deployment.writing_checks(NOW):
        check.found()
    assert google.changed == ["drop"]


def test_the_command_prints_a_line_a_check_and_ends_with_what_was_found(
    google: Google, lake: FolderLake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = google.client()
    monkeypatch.setattr(bigquery, "Client", lambda **_: client)
    monkeypatch.setattr(factory, "lake_of", lambda _: SealedLake(lake))
    monkeypatch.setattr(settings_module, "get_settings", lambda: settings)
    monkeypatch.setattr(notifications, "pubsub", google.pubsub)
    result = CliRunner().invoke(app, ["gcp", "verify"])
    assert not result.stderr
    lines = result.stdout.splitlines()
    assert (result.exit_code, {line[:4] for line in lines[::2]}) == (0, {"good"})
    assert all(line.startswith("      should be ") and "; by hand: " in line for line in lines[1::2])
    google.amiss = "no streaming_assets_readers"
    result = CliRunner().invoke(app, ["gcp", "verify", "--write"])
    assert result.exit_code == 1
    assert "BAD   dataset streaming_assets_readers is where jobs run: 404" in result.stdout
    by_hand = "bq show --format=json a-project:streaming_assets_readers | jq -r .location"
    assert f"      should be US; by hand: {by_hand}\n" in result.stdout
    assert "good  a MERGE replaces an hour's rows: 1 row" in result.stdout
    monkeypatch.setattr(settings_module, "get_settings", Settings)
    result = CliRunner().invoke(app, ["gcp", "verify"])
    assert (result.exit_code, result.stderr) == (2, "gcp verify: the warehouse is duckdb, not bigquery\n")
