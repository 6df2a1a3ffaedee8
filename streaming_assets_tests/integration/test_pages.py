"""Dagster's pages over the real web server: what their buttons send, and the buttons themselves in a browser."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from playwright.sync_api import Page, sync_playwright

from streaming_assets.automation.jobs import LIVE
from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour
from streaming_assets.partitions import key_of, steps
from streaming_assets_tests.dashboards.browsing import LAUNCH
from streaming_assets_tests.graph import change, info, listen, view
from streaming_assets_tests.integration.dagster_system import FINISHED, PATIENCE, DagsterSystem
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.tools import need

# One system serves all tests of the module, in their order, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("pages")]

FIRST = floor_hour(datetime.now(UTC)) - 24 * HOUR
TABLES = ("external/listen_events_ext", "external/users_ext")
LONG = range(4, 19)  # hours of a backfill that takes several runs
BAD = 1  # the hour with an object that nobody can read
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "streaming_assets"}
FROM_UI = {"key": "dagster/from_ui", "value": "true"}

SENSORS = """
query ($repository: RepositorySelector!) {
  sensorsOrError(repositorySelector: $repository) { ... on Sensors { results { name sensorState { id } } } }
}
"""
STOP_SENSOR = "mutation ($id: String!) { stopSensor(id: $id) { __typename } }"
NODES = """
{
  assetNodes {
    assetKey { path }
    isExecutable
    jobNames
    assetChecksOrError { ... on AssetChecks { checks { name } } }
  }
}
"""
LAUNCH_RUN = """
mutation ($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message stack }
  }
}
"""
LAUNCH_BACKFILL = """
mutation ($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message stack }
  }
}
"""
BACKFILL = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status runs { id } error { message } } }
}
"""
TERMINATE = """
mutation ($runIds: [String!]!, $terminatePolicy: TerminateRunPolicy) {
  terminateRuns(runIds: $runIds, terminatePolicy: $terminatePolicy) {
    ... on TerminateRunsResult { terminateRunResults { __typename } }
  }
}
"""
REEXECUTE = """
mutation ($reexecutionParams: ReexecutionParams) {
  launchRunReexecution(reexecutionParams: $reexecutionParams) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message stack }
  }
}
"""


class Pages(DagsterSystem):
    """A system with four hours in the lake, whose sensors are stopped: only what is clicked is run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, first_hour=FIRST.isoformat(), hours_per_step=3)
        for number in range(4):
            at = FIRST + number * HOUR
            self.place.put("listen_events", at, [listen(at, item=number)], offset=number)
            self.place.put("page_view_events", at, [view(at, item=number)], offset=number)
            self.place.put("status_change_events", at, [change(at, item=number)], offset=number)
            self.place.put("user_info", at, [info(at, user=number)], offset=number)
        self.place.put_bytes(ObjectName("listen_events", FIRST + BAD * HOUR, 0, 99), b"no gzip")
        self.backfills: dict[str, str] = {}

    def start(self) -> None:
        self.start_code_server()
        self.wait_for_code_server()
        self.start_web_server()
        self.wait_for_web_server()
        for sensor in self.ask(SENSORS, repository=REPOSITORY)["sensorsOrError"]["results"]:
            self.ask(STOP_SENSOR, id=sensor["sensorState"]["id"])
        self.nodes = {"/".join(n["assetKey"]["path"]): n for n in self.ask(NODES)["assetNodes"]}
        # The daemon looks at backfills every 30 s, and at once when it starts.
        self.backfills["assets"] = self.backfill(list(TABLES), range(2))
        hourly = [key for key, node in self.nodes.items() if "hourly" in node["jobNames"]]
        self.backfills["job"] = self.backfill(
            hourly, range(3),
            selector={"partitionSetName": "hourly_partition_set", "repositorySelector": REPOSITORY},
        )  # fmt: skip
        self.start_daemon()

    def backfill(self, assets: list[str], hours: range, **more: Any) -> str:
        """What *Launch backfill* sends for some hours."""
        params = {
            "tags": [FROM_UI],
            "assetSelection": [{"path": key.split("/")} for key in assets],
            "partitionNames": [key_of(FIRST + number * HOUR) for number in hours],
            "fromFailure": False,
            **more,
        }
        answer = self.ask(LAUNCH_BACKFILL, backfillParams=params)["launchPartitionBackfill"]
        assert "backfillId" in answer, answer
        return answer["backfillId"]

    def launch(
        self,
        assets: list[str],
        checks: list[tuple[str, str]],
        hour: int | None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """What *Materialize* and *Execute all* send; the id of the run."""
        more = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        partition = (
            [{"key": "dagster/partition", "value": key_of(FIRST + hour * HOUR)}] if hour is not None else []
        )
        selector = {
            **REPOSITORY,
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": key.split("/")} for key in assets],
            "assetCheckSelection": [
                {"assetKey": {"path": key.split("/")}, "name": name} for key, name in checks
            ],
        }
        params = {
            "mode": "default",
            "executionMetadata": {"tags": [*partition, *more, FROM_UI]},
            "runConfigData": "{}\n",
            "selector": selector,
        }
        answer = self.ask(LAUNCH_RUN, executionParams=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["id"]

    def checks(self, asset: str) -> list[tuple[str, str]]:
        """All checks of an asset, as its page lists them."""
        return [(asset, check["name"]) for check in self.nodes[asset]["assetChecksOrError"]["checks"]]

    def runs_of_backfill(self, backfill: str, count: int = 1) -> list[dg.DagsterRun]:
        """The runs that a backfill makes, `count` at least, the oldest hours first."""

        def made() -> list[str]:
            found = self.ask(BACKFILL, id=self.backfills[backfill])["partitionBackfillOrError"]
            assert not found["error"], found["error"]
            return (
                [run["id"] for run in found["runs"]]
                if found["status"] != "REQUESTED" or found["runs"]
                else []
            )

        wait_until(lambda: len(made()) >= count, f"the backfill makes runs, {self.log()}", PATIENCE)
        return sorted((self.run(run_id) for run_id in made()), key=lambda run: span_of(run) or ())

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def succeeds(self, run_id: str) -> None:
        status = self.ended(run_id)
        failed = [str(e.dagster_event) for e in self.logs(self.run(run_id), dg.DagsterEventType.STEP_FAILURE)]
        assert status == dg.DagsterRunStatus.SUCCESS, failed or self.log()

    def ended(self, run_id: str) -> dg.DagsterRunStatus:
        """How a run ends."""
        wait_until(
            lambda: self.status(self.run(run_id)) in FINISHED, f"{run_id} ends, {self.log()}", PATIENCE
        )
        return self.status(self.run(run_id))

    def materialised(self, run_id: str) -> set[tuple[str, str | None]]:
        events = self.logs(self.run(run_id), dg.DagsterEventType.ASSET_MATERIALIZATION)
        found = [entry.dagster_event for entry in events]
        return {(e.asset_key.to_user_string(), e.partition) for e in found if e and e.asset_key}

    def see(self, look: Callable[[Page], None]) -> None:
        """Look at the pages with a browser; in a thread, as it leaves an event loop in its own."""

        def browse() -> None:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                page.set_default_timeout(PATIENCE * 1000)
                try:
                    look(page)
                except Exception:
                    page.screenshot(path=self.folder / "page.png")
                    raise
                finally:
                    browser.close()

        chromium = need("chromium")
        with ThreadPoolExecutor(1) as thread:
            thread.submit(browse).result()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Pages]:
    pages = Pages(tmp_path_factory.mktemp("pages"))
    try:
        pages.place.put_parsed(parsed_project)
        pages.start()
        yield pages
    finally:
        pages.end()


def names(*assets: str, hours: range) -> set[tuple[str, str | None]]:
    return {(asset, key_of(FIRST + number * HOUR)) for asset in assets for number in hours}


# The first test: whichever of the two backfills the daemon takes first, this run is watched from its beginning.
def test_a_range_of_the_job_is_one_run_that_can_be_terminated_and_goes_on_from_there(pages: Pages) -> None:
    (run,) = pages.runs_of_backfill("job")
    assert span_of(run) == (FIRST, FIRST + 3 * HOUR)
    wait_until(
        lambda: any("dbt: hours" in entry.message for entry in pages.logs(run)),
        "dbt has begun",
        PATIENCE,
        every=0.1,
    )
    begun = time.monotonic()
    pages.ask(TERMINATE, runIds=[run.run_id], terminatePolicy="SAFE_TERMINATE")
    took = pages.seconds_until_ended(run, begun)
    assert pages.status(run) == dg.DagsterRunStatus.CANCELED
    assert took < 30
    print(f"from Terminate in dbt to the end of the run: {took:.1f} s")
    steps = [entry.step_key for entry in pages.logs(run, dg.DagsterEventType.STEP_SUCCESS)]
    assert "warehouse_models" not in steps
    assert names(*TABLES, hours=range(3)) <= pages.materialised(run.run_id)

    # For the test after the next: the daemon takes it up meanwhile.
    pages.backfills["long"] = pages.backfill(["external/users_ext"], LONG)
    params = {"parentRunId": run.run_id, "strategy": "FROM_FAILURE"}
    answer = pages.ask(REEXECUTE, reexecutionParams=params)["launchRunReexecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    pages.succeeds(answer["run"]["id"])
    again = pages.materialised(answer["run"]["id"])
    assert names("marts/mart_daily_streams", "serving/dashboard_snapshot", hours=range(3)) <= again
    assert not names(*TABLES, hours=range(3)) & again, "which was done before"
    counted = "select count(*) from fact_listen_events"
    assert pages.place.warehouse.rows(counted) == [(3,)]


def test_a_range_of_some_assets_is_one_run_of_these(pages: Pages) -> None:
    (run,) = pages.runs_of_backfill("assets")
    pages.succeeds(run.run_id)
    assert pages.materialised(run.run_id) == names(*TABLES, hours=range(2))


def test_a_long_range_is_cut_in_runs_between_which_a_live_hour_goes(pages: Pages) -> None:
    wanted = steps([(FIRST + LONG.start * HOUR, FIRST + LONG.stop * HOUR)], 3)
    parts = pages.runs_of_backfill("long", len(wanted))
    assert [span_of(run) for run in parts] == wanted
    live = pages.launch(["external/users_ext"], [], 3, tags=LIVE)
    pages.succeeds(live)
    for run in parts:
        pages.succeeds(run.run_id)

    def times(run_id: str) -> tuple[float, float]:
        record = pages.instance.get_run_record_by_id(run_id)
        assert record
        assert record.start_time
        assert record.end_time
        return record.start_time, record.end_time

    begun, ended = times(live)
    queued = [part for part in parts if times(part.run_id)[0] >= ended]
    assert len(queued) >= 2, "the backfill was under way"
    asked = pages.instance.get_run_record_by_id(live)
    assert asked
    begun_before = [
        part for part in parts if asked.create_timestamp.timestamp() < times(part.run_id)[0] < begun
    ]
    assert len(begun_before) <= 1, "none is begun that could wait"
    done = {name for run in parts for name in pages.materialised(run.run_id)}
    assert done == names("external/users_ext", hours=LONG)


@pytest.mark.parametrize(
    "assets",
    [["core/dim_users"], ["marts/mart_daily_streams", "serving/dashboard_snapshot"]],
    ids=["dimension", "mart_and_snapshot"],
)
def test_an_hour_of_assets_with_their_checks(pages: Pages, assets: list[str]) -> None:
    run_id = pages.launch(assets, [check for asset in assets for check in pages.checks(asset)], 1)
    pages.succeeds(run_id)
    assert pages.materialised(run_id) == names(*assets, hours=range(1, 2))


def test_execute_all_checks_of_an_asset(pages: Pages) -> None:
    checks = pages.checks("core/fact_listen_events")
    assert len(checks) >= 8
    run_id = pages.launch([], checks, None)
    pages.succeeds(run_id)
    events = [
        entry.dagster_event
        for entry in pages.logs(pages.run(run_id), dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    ]
    told = {e.asset_check_evaluation_data.check_name for e in events if e}
    assert told == {name for _, name in checks}
    assert not pages.materialised(run_id)


def test_an_hour_is_materialised_by_clicks(pages: Pages) -> None:
    key = key_of(FIRST + 3 * HOUR)
    before = {run.run_id for run in pages.instance.get_runs()}

    def click(page: Page) -> None:
        page.goto(f"{pages.address}/assets/external/listen_events_ext")
        page.get_by_role("button", name="Materialize").first.click()
        partition = page.get_by_placeholder("partition").first
        partition.fill(key)
        partition.press("Enter")
        page.get_by_role("button", name="Launch", exact=False).last.click()
        wait_until(lambda: len(pages.instance.get_runs()) > len(before), "a run is launched", PATIENCE)
        (run,) = [run for run in pages.instance.get_runs() if run.run_id not in before]
        pages.succeeds(run.run_id)
        page.goto(f"{pages.address}/runs/{run.run_id}")
        page.get_by_text("Success", exact=True).first.wait_for()

    pages.see(click)
    (run,) = [run for run in pages.instance.get_runs() if run.run_id not in before]
    assert pages.materialised(run.run_id) == names("external/listen_events_ext", hours=range(3, 4))


def test_the_page_of_a_check_shows_which_hour_is_bad(pages: Pages) -> None:
    def look(page: Page) -> None:
        page.goto(f"{pages.address}/assets/external/listen_events_ext?view=checks")
        page.get_by_text("objects_are_readable").first.wait_for()
        page.get_by_text("About", exact=True).wait_for()
        # The first is the asset's; the check's own comes later, when the page knows that it is partitioned.
        page.get_by_text("Partitions", exact=True).nth(1).click()
        page.get_by_text("Passed (3)").wait_for()
        page.get_by_text("Failed (1)", exact=True).wait_for()
        page.get_by_text(re.compile(r"Missing \(2\d\)")).wait_for()
        page.get_by_placeholder("Filter by partition").fill(key_of(FIRST + BAD * HOUR))
        page.get_by_text(key_of(FIRST + BAD * HOUR), exact=True).first.click()
        page.get_by_text("no gzip").or_(page.get_by_text("first_findings")).first.wait_for()

    pages.see(look)
