"""The BigQuery warehouse: what it asks of BigQuery's REST interface, held to the interface's own description."""

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from streaming_assets.events import BY_TOPIC, LAKE_TYPES, EventType
from streaming_assets.lake import lease
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import SONGS, ObjectName, placeholder
from streaming_assets.warehouses.bigquery_warehouse import BigQueryWarehouse, WarehouseError
from streaming_assets.warehouses.warehouse import Cost, ReadersTable, WarehouseLocked, WarehouseOutdated
from streaming_assets_tests.google_rest import Recorder, Sent
from streaming_assets_tests.graph import hour

PROJECT, DATASET = "a-project", "site"
LISTENS = BY_TOPIC["listen_events"]


class BucketOnDisk(FolderLake):
    """A folder whose addresses are those of a bucket."""

    def uri(self, name: str) -> str:
        return f"gs://bucket/lake/{name}"


_VIEW = re.compile(r'create or replace view `a-project\.(\w+)\.(\w+)` .*"definition", "(\w+)"', re.S)


class BigQuery:
    """The tables that were made, by name; jobs succeed and find nothing."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.jobs: list[dict[str, Any]] = []
        self.has_datasets = True
        self.recorder = Recorder("bigquery.v2", self.answer)

    @property
    def sent(self) -> list[Sent]:
        return self.recorder.sent

    def client(self) -> bigquery.Client:
        return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials(), _http=self.recorder)

    def answer(self, sent: Sent) -> tuple[int, Any]:
        what = sent.method.removeprefix("bigquery.")
        if not self.has_datasets:
            return _error(404, f"Not found: Dataset {PROJECT}:{DATASET}")
        name = f"{sent.parameters.get('datasetId')}.{sent.parameters.get('tableId')}"
        if what == "tables.list":
            of = f"{sent.parameters['datasetId']}."
            return 200, {"tables": [table for name, table in self.tables.items() if name.startswith(of)]}
        if what == "tables.insert":
            reference = sent.body["tableReference"]
            if f"{reference['datasetId']}.{reference['tableId']}" in self.tables:
                return _error(409, "Already Exists: Table")
            self.tables[f"{reference['datasetId']}.{reference['tableId']}"] = _as_kept(sent.body)
            return 200, sent.body
        if what in ("tables.get", "tables.patch", "tables.delete") and name not in self.tables:
            return _error(404, f"Not found: Table {PROJECT}:{name}")
        if what == "tables.get":
            return 200, self.tables[name]
        if what == "tables.patch":
            self.tables[name] = _as_kept(self.tables[name] | sent.body)
            return 200, self.tables[name]
        if what == "tables.delete":
            del self.tables[name]
            return 204, {}
        if what == "jobs.query":
            if made := _VIEW.match(sent.body["query"]):
                reference = {"projectId": PROJECT, "datasetId": made[1], "tableId": made[2]}
                labels = {"definition": made[3]}
                self.tables[f"{made[1]}.{made[2]}"] = {"tableReference": reference, "labels": labels}
            return 200, {"jobComplete": True, "schema": {"fields": []}, "rows": [], "totalRows": "0"}
        if what == "jobs.list":
            state = sent.parameters.get("stateFilter")
            return 200, {
                "jobs": [job for job in self.jobs if state in (None, job["status"]["state"].lower())]
            }
        by_id = {job["jobReference"]["jobId"]: job for job in self.jobs}
        if what == "jobs.cancel":
            return 200, {"job": by_id[sent.parameters["jobId"]]}
        if what in ("jobs.get", "jobs.getQueryResults") and sent.parameters["jobId"] in by_id:
            job = by_id[sent.parameters["jobId"]]
            job["status"]["state"] = "DONE"  # it is seen to end when it is asked for
            return 200, job
        assert what in ("jobs.insert", "jobs.get"), what
        job = {"jobReference": {"projectId": PROJECT, "jobId": "1"}, "status": {"state": "DONE"}}
        return 200, job | {"configuration": {"jobType": "LOAD", "load": {}}}


def _error(status: int, message: str) -> tuple[int, Any]:
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": "notFound"}]}}


def _as_kept(table: dict[str, Any]) -> dict[str, Any]:
    """What the server makes of a table: numbers as text, the folders' key among the columns."""
    table = json.loads(json.dumps(table))
    external = table.get("externalDataConfiguration", {})
    if "hivePartitioningOptions" in external:
        external["hivePartitioningOptions"]["fields"] = ["date"]
        table["schema"] = {
            "fields": [
                *external.pop("schema")["fields"],
                {"name": "date", "type": "TIMESTAMP", "mode": "NULLABLE"},
            ]
        }
    return table | {"etag": "x", "numRows": "0", "type": "EXTERNAL" if external else "TABLE"}


def of(google: BigQuery, lake: Path) -> BigQueryWarehouse:
    return BigQueryWarehouse(PROJECT, DATASET, google.client, 10**12, FolderLake(lake), 0)


@pytest.fixture
def google() -> BigQuery:
    return BigQuery()


@pytest.fixture
def warehouse(google: BigQuery, tmp_path: Path) -> BigQueryWarehouse:
    return of(google, tmp_path)


@pytest.fixture
def lake(tmp_path) -> BucketOnDisk:
    return BucketOnDisk(tmp_path)


def nothing(_: str) -> None:
    raise AssertionError("nothing is to be told")


@pytest.mark.parametrize("event_type", LAKE_TYPES, ids=lambda event_type: event_type.topic)
def test_an_event_table_follows_from_its_event_type(
    google: BigQuery, warehouse: BigQueryWarehouse, lake: BucketOnDisk, event_type: EventType
) -> None:
    warehouse.create_event_table(event_type, lake, nothing)

    (insert,) = (sent for sent in google.sent if sent.method == "bigquery.tables.insert")
    assert insert.body["tableReference"] == {
        "projectId": PROJECT,
        "datasetId": "site_external",
        "tableId": event_type.external_table,
    }
    external = insert.body["externalDataConfiguration"]
    prefix = f"gs://bucket/lake/raw/{event_type.topic}/"
    assert external["sourceUris"] == [f"{prefix}*"]
    assert external["hivePartitioningOptions"] == {
        "mode": "CUSTOM",
        "sourceUriPrefix": prefix + "{date:TIMESTAMP}",
        "requirePartitionFilter": True,
    }
    assert (external["sourceFormat"], external["compression"]) == ("CSV", "GZIP")
    assert external["csvOptions"] == {
        "fieldDelimiter": "\x01",
        "quote": "",
        "allowJaggedRows": True,
        "preserveAsciiControlCharacters": True,
    }
    assert external["ignoreUnknownValues"] is True
    assert int(external["maxBadRecords"]) > 0
    columns = [(field["name"], field["type"]) for field in external["schema"]["fields"]]
    assert columns == [("line", "STRING"), ("rest", "STRING")]
    assert lake.read(placeholder(event_type.topic)), (
        "BigQuery reads no partitions of a prefix without an object"
    )


def test_a_table_that_is_right_is_left_alone(
    google: BigQuery, warehouse: BigQueryWarehouse, lake: BucketOnDisk
) -> None:
    warehouse.create_event_table(LISTENS, lake, nothing)
    before = len(google.sent)
    warehouse.create_event_table(LISTENS, lake, nothing)
    assert [sent.method for sent in google.sent[before:]] == ["bigquery.tables.get"]


@pytest.mark.parametrize(
    ("drift", "told"),
    [
        ({"description": "mine"}, "description: mine, should be Lines of topic listen_events"),
        (
            {"labels": {"owner": "me"}},
            "labels: {'owner': 'me'}, should be {'application': 'streaming-assets'}",
        ),
        ({"csvOptions": {"fieldDelimiter": ","}}, "csv.fieldDelimiter: ,, should be \x01"),
        ({"maxBadRecords": "0"}, "maxBadRecords: 0, should be 10000"),
        ({"hivePartitioningOptions": {"mode": "AUTO"}}, "hive.mode: AUTO, should be CUSTOM"),
        ({"sourceUris": ["gs://other/*"]}, "sourceUris: ['gs://other/*'], should be ['gs://bucket/lake/raw/"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_drift_is_told_before_it_is_altered(
    google: BigQuery, warehouse: BigQueryWarehouse, lake: BucketOnDisk, drift: dict[str, Any], told: str
) -> None:
    warehouse.create_event_table(LISTENS, lake, nothing)
    table = google.tables["site_external.listen_events_ext"]
    right = json.loads(json.dumps(table))
    (table if drift.keys() <= {"description", "labels"} else table["externalDataConfiguration"]).update(drift)

    heard: list[tuple[str, int]] = []
    warehouse.create_event_table(LISTENS, lake, lambda text: heard.append((text, len(google.sent))))

    ((text, when),) = heard
    assert text.startswith("listen_events_ext is altered: ")
    assert told in text
    assert [sent.method for sent in google.sent[when:]] == ["bigquery.tables.patch"], "told, then altered"
    assert google.tables["site_external.listen_events_ext"] == right


def test_another_column_makes_the_table_anew(
    google: BigQuery, warehouse: BigQueryWarehouse, lake: BucketOnDisk
) -> None:
    warehouse.create_event_table(LISTENS, lake, nothing)
    google.tables["site_external.listen_events_ext"]["schema"]["fields"][0]["type"] = "BYTES"
    before, heard = len(google.sent), []
    warehouse.create_event_table(LISTENS, lake, heard.append)
    assert heard == ["listen_events_ext is altered: schema.line: BYTES, should be STRING"]
    methods = [sent.method.rpartition(".")[2] for sent in google.sent[before:]]
    assert methods == ["get", "delete", "insert"]


def test_a_reference_table_stands_empty_until_its_file_is_there(
    google: BigQuery, warehouse: BigQueryWarehouse, lake: BucketOnDisk
) -> None:
    assert warehouse.create_reference_table("songs_ext", lake, SONGS, nothing) is False
    empty = google.tables["site_external.songs_ext"]
    assert "externalDataConfiguration" not in empty
    lake.write(SONGS, b"parquet")
    heard: list[str] = []
    assert warehouse.create_reference_table("songs_ext", lake, SONGS, heard.append) is True
    external = google.tables["site_external.songs_ext"]["externalDataConfiguration"]
    assert (external["sourceUris"], external["sourceFormat"]) == ([f"gs://bucket/lake/{SONGS}"], "PARQUET")
    assert external["schema"]["fields"] == empty["schema"]["fields"]
    assert "sourceFormat: none, should be PARQUET" in heard[0]


def test_the_inventory_of_a_span_is_replaced_in_one_statement(
    google: BigQuery, warehouse: BigQueryWarehouse
) -> None:
    name = ObjectName("listen_events", hour(1), 0, 7)
    warehouse.record_objects((hour(0), hour(3)), [InventoryRow(name, "gs://b/x", 10, 1, 3)])

    load, *_, query = google.sent
    assert load.method == "bigquery.jobs.insert"
    settings = load.body["configuration"]["load"]
    assert settings["writeDisposition"] == "WRITE_TRUNCATE"
    assert settings["destinationTable"]["tableId"] == "lake_objects_incoming"
    assert query.method == "bigquery.jobs.query"
    assert query.body["query"] == (
        "merge into lake_objects as held using lake_objects_incoming as incoming on false "
        "when not matched by source and held.bucket_ingestion_datetime >= timestamp '2025-03-01 00:00:00' and "
        "held.bucket_ingestion_datetime < timestamp '2025-03-01 03:00:00' then delete "
        "when not matched then insert row"
    )


def test_an_inventory_gets_the_columns_that_it_lacks_and_keeps_its_generation(
    google: BigQuery, warehouse: BigQueryWarehouse
) -> None:
    assert warehouse.generation() is warehouse.stamp() is None
    warehouse.prepare()
    generation = warehouse.generation()
    assert generation
    assert (warehouse.stamp() or "").startswith(generation)
    table = google.tables["site.lake_objects"]
    lacking = table["schema"]["fields"].pop()
    warehouse.prepare()
    assert warehouse.generation() == generation
    assert google.tables["site.lake_objects"]["labels"]["application"] == "streaming-assets"
    assert google.tables["site.lake_objects"]["schema"]["fields"][-1]["name"] == lacking["name"]


@pytest.mark.parametrize("generation", [None, "1-0", "0123456789abcdef"])
def test_tables_of_another_version_are_refused_with_the_way_out(
    google: BigQuery, warehouse: BigQueryWarehouse, generation: str | None
) -> None:
    warehouse.prepare()
    labels = google.tables["site.lake_objects"]["labels"]
    del labels["generation"]
    if generation:
        labels["generation"] = generation
    with pytest.raises(WarehouseOutdated, match="name that with STREAMING_ASSETS_BIGQUERY_DATASET"):
        warehouse.prepare()


def test_queries_are_limited_labelled_and_of_the_dataset(
    google: BigQuery, warehouse: BigQueryWarehouse
) -> None:
    assert warehouse.rows("select 1") == []
    (query,) = google.sent
    assert query.body["maximumBytesBilled"] == "1000000000000"
    assert query.body["defaultDataset"] == {"projectId": PROJECT, "datasetId": DATASET}
    assert query.body["labels"] == {"application": "streaming-assets", "dataset": DATASET}


def test_readers_have_views_of_the_tables_that_are_there_and_of_no_others(
    google: BigQuery, warehouse: BigQueryWarehouse
) -> None:
    def methods() -> list[str]:
        sent, google.recorder.sent[:] = list(google.sent), []
        return [one.method.removeprefix("bigquery.") for one in sent]

    there, coming = (ReadersTable(name, 'it\'s "so"\n', {"day": "of\\it"}) for name in ("dim", "fact"))
    for name in ("lake_objects", "dim"):
        reference = {"projectId": PROJECT, "datasetId": DATASET, "tableId": name}
        google.tables[f"{DATASET}.{name}"] = {"tableReference": reference}
    assert warehouse.show_to_readers([there, coming]) == []
    views = {"site_readers.dim", "site_readers.snapshot"}
    assert google.tables.keys() - views == {"site.lake_objects", "site.dim"}
    (view,) = (one.body["query"] for one in google.sent if ".dim`" in str(one.body))
    assert r'''description = "it's \"so\"\n"''' in view
    assert r'description = "of\\it"' in view
    methods()
    assert warehouse.show_to_readers([there]) == []
    assert methods() == ["tables.list"], "what is right costs one request"
    warehouse.show_to_readers([ReadersTable("dim", "otherwise", {"day": ""})])
    assert methods() == ["tables.list", "tables.list", "jobs.query"]
    warehouse.show_to_readers([])
    assert google.tables.keys() & views == {"site_readers.snapshot"}
    google.has_datasets = False
    (told,) = warehouse.show_to_readers([there])
    assert told.startswith("a-project.site_readers is not there, so readers have no views")


def test_what_models_cost_is_added_up_from_their_jobs(google: BigQuery, warehouse: BigQueryWarehouse) -> None:
    google.jobs = [
        _job("1", {"asset": "fact_listen_events"}, 100, 7),
        _job("2", {"asset": "fact_listen_events"}, 20, 1),
        _job("3", {"asset": "stg_users"}, 5, 2),
        _job("4", {"other": "thing"}, 1000, 9),
    ]
    since = datetime(2025, 3, 1, tzinfo=UTC)
    assert warehouse.costs(since) == {"fact_listen_events": Cost(120, 8), "stg_users": Cost(5, 2)}
    (listed,) = google.sent
    assert listed.parameters["minCreationTime"] == "1740787200000"


def test_two_processes_hold_the_dataset_one_after_the_other(google: BigQuery, tmp_path: Path) -> None:
    first, second = of(google, tmp_path), of(google, tmp_path)
    said = r"a-project\.site is in use: process \d+ on .*leases/a-project\.site\.json ends in 60 s"
    with first.exclusive(), pytest.raises(WarehouseLocked, match=said), second.exclusive():
        pytest.fail("both hold it")
    with first.exclusive(), second.looking(timeout=0):
        assert second.rows("select 0") == [], "who looks waits for nobody"
    with second.exclusive():
        assert second.rows("select 1") == []
    assert [sent.method for sent in google.sent] == ["bigquery.jobs.query"] * 2, "no job was looked for"


def test_who_follows_a_dead_holder_ends_its_jobs_and_no_others(
    google: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SKEW_SECONDS", 0.0)
    assert lease.Lease(FolderLake(tmp_path), "leases/a-project.site.json", seconds=0.0).take() is None
    google.jobs = [
        _job("its", {"dataset": DATASET}, 0, 0, "RUNNING"),
        _job("waiting", {"dataset": DATASET}, 0, 0, "PENDING"),
        _job("ended", {"dataset": DATASET}, 0, 0),
        _job("another's", {"dataset": "other"}, 0, 0, "RUNNING"),
        _job("a reader's", {}, 0, 0, "RUNNING"),
    ]
    with of(google, tmp_path).exclusive():
        cancelled = [s.parameters["jobId"] for s in google.sent if s.method == "bigquery.jobs.cancel"]
        assert sorted(cancelled) == ["its", "waiting"]
        assert {job["id"]: job["status"]["state"] for job in google.jobs} == {
            "its": "DONE",
            "waiting": "DONE",
            "ended": "DONE",
            "another's": "RUNNING",
            "a reader's": "RUNNING",
        }


def test_who_lost_the_dataset_sends_no_statement_more(
    google: BigQuery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SECONDS", 0.1)
    lake, held = FolderLake(tmp_path), of(google, tmp_path)
    told: list[str] = []

    def work() -> None:  # beside the main thread, where nothing interrupts
        try:
            with held.exclusive():
                held.execute("delete from a where true")
                lake.write("leases/a-project.site.json", b'{"holder": "another", "token": "t", "until": 9e9}')
                time.sleep(0.15)
                held.execute("delete from b where true")
        except lease.LeaseLost as error:
            told.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(told) == 1
    assert [sent.body["query"] for sent in google.sent] == ["delete from a where true"]


def _job(
    job_id: str, labels: dict[str, str], billed: int, slot_ms: int, state: str = "DONE"
) -> dict[str, Any]:
    statistics = {"query": {"totalBytesBilled": str(billed), "totalSlotMs": str(slot_ms)}}
    return {
        "id": job_id,
        "jobReference": {"projectId": PROJECT, "jobId": job_id},
        "configuration": {"jobType": "QUERY", "labels": labels, "query": {"query": "select 1"}},
        "statistics": statistics,
        "status": {"state": state},
    }


@pytest.mark.parametrize(
    "act", [BigQueryWarehouse.prepare, BigQueryWarehouse.is_there], ids=["write", "look"]
)
def test_a_missing_dataset_is_named(
    google: BigQuery, warehouse: BigQueryWarehouse, act: Callable[[BigQueryWarehouse], object]
) -> None:
    google.has_datasets = False
    with pytest.raises(
        WarehouseError, match=f"BigQuery, {PROJECT}.{DATASET}: 404 .*Dataset {PROJECT}:{DATASET}"
    ):
        act(warehouse)


def test_a_request_that_the_interface_does_not_know_fails(google: BigQuery) -> None:
    with pytest.raises(AssertionError, match=r"tables\.insert"):
        google.recorder.request(
            "POST",
            f"https://x/bigquery/v2/projects/{PROJECT}/datasets/d/tables",
            data='{"tablereference": {}}',
        )
