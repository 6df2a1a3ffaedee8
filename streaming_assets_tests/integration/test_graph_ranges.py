"""How many runs a selection of hours makes, when Dagster's daemon turns a backfill of its pages into runs."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import create_test_daemon_workspace_context, instance_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._time import get_current_timestamp

from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.partitions import Span, key_of
from streaming_assets_tests.graph import hour

pytestmark = pytest.mark.integration

LAUNCHER = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, parsed_project: Path
) -> Iterator[tuple[dg.DagsterInstance, WorkspaceProcessContext]]:
    home = tmp_path_factory.mktemp("ranges")
    with (
        pytest.MonkeyPatch.context() as patch,
        instance_for_test(overrides={"run_launcher": LAUNCHER}) as instance,
    ):
        patch.setenv("STREAMING_ASSETS_HOME", str(home))
        target = ModuleTarget("streaming_assets.definitions", None, None, "streaming_assets")
        with create_test_daemon_workspace_context(target, instance) as context:
            yield instance, context


def launch(
    workspace: tuple[dg.DagsterInstance, WorkspaceProcessContext],
    selection: dg.AssetSelection,
    hours: list[int],
) -> list[Span | None]:
    """The runs of a backfill as `launchPartitionBackfill` makes it: the daemon's first look at it."""
    instance, context = workspace
    before = {run.run_id for run in instance.get_runs()}
    graph = context.create_request_context().asset_graph
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=str(get_current_timestamp()),
        asset_graph=graph,
        partition_names=[key_of(hour(number)) for number in hours],
        asset_selection=sorted(selection.resolve(graph)),
        backfill_timestamp=get_current_timestamp(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    # In a thread of its own, as in the daemon: a browser's test may have left its event loop in this one.
    with ThreadPoolExecutor(1) as daemon:
        iteration = daemon.submit(
            lambda: list(execute_backfill_iteration(context, logging.getLogger("backfill")))
        )
    for failure in iteration.result():
        assert failure is None, failure
    stored = instance.get_backfill(backfill.backfill_id)
    assert stored is not None
    assert stored.status == BulkActionStatus.REQUESTED, stored.error
    made = [run for run in instance.get_runs() if run.run_id not in before]
    for run in made:
        instance.report_run_canceled(run)
    return sorted(map(span_of, made), key=repr)


def test_a_day_of_all_that_comes_by_the_hour_is_one_run(
    workspace: tuple[dg.DagsterInstance, WorkspaceProcessContext],
) -> None:
    by_hour = dg.AssetSelection.groups("external", "staging", "core", "marts") - dg.AssetSelection.assets(
        ["external", "songs_ext"], ["external", "locations_ext"]
    )
    assert launch(workspace, by_hour, list(range(24))) == [(hour(0), hour(0) + timedelta(days=1))]


def test_separate_hours_are_as_many_runs_as_they_form_spans(
    workspace: tuple[dg.DagsterInstance, WorkspaceProcessContext],
) -> None:
    facts = dg.AssetSelection.assets(["core", "fact_listen_events"], ["core", "dim_users"])
    found = launch(workspace, facts, [1, 2, 3, 7, 9, 10])
    assert found == [(hour(1), hour(4)), (hour(7), hour(8)), (hour(9), hour(11))]
