"""Each asset and each check launched alone, as the buttons of Dagster's pages do: through its implicit job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from streaming_assets.assets import serving
from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.partitions import key_of
from streaming_assets_tests.graph import Graph, change, failures, hour, info, listen, view

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("graph_alone")]

FACT = dg.AssetKey(["core", "fact_listen_events"])


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path_factory.mktemp("alone"), parsed_project)
    for number in range(3):
        at = hour(number)
        graph.put("listen_events", at, [listen(at, item=number)], offset=number)
        graph.put("page_view_events", at, [view(at, item=number)], offset=number)
        graph.put("status_change_events", at, [change(at, item=number)], offset=number)
        graph.put("user_info", at, [info(at, user=number)], offset=number)
    assert graph.run(0, 3).success
    yield graph
    graph.close()


def launch(
    graph: Graph,
    assets: tuple[dg.AssetKey, ...] = (),
    checks: tuple[dg.AssetCheckKey, ...] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """What `launchPipelineExecution` does with an asset selection; checks left out are all of these assets'."""
    whole = graph.defs.resolve_implicit_global_asset_job_def()
    job = whole.get_subset(
        asset_selection=set(assets) or None, asset_check_selection=None if checks is None else set(checks)
    )
    return job.execute_in_process(instance=graph.instance, tags=tags, raise_on_error=False)


def materialised(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    found = result.get_asset_materialization_events()
    return {(e.asset_key.to_user_string(), e.partition) for e in found if e.asset_key is not None}


def test_any_asset_with_its_checks_and_any_check_alone_make_a_job(graph: Graph) -> None:
    nodes = graph.defs.resolve_asset_graph()
    whole = graph.defs.resolve_implicit_global_asset_job_def()
    executable = {node.key for node in nodes.asset_nodes if node.is_executable}
    assert len(executable) > 25
    for key in executable:
        found = whole.get_subset(asset_selection={key}).asset_layer
        assert found.executable_asset_keys == {key}

    for check in nodes.asset_check_keys:
        layer = whole.get_subset(asset_selection=set(), asset_check_selection={check}).asset_layer
        assert layer.executable_asset_keys == set()


@pytest.mark.parametrize(
    "key",
    [
        "external/listen_events_ext",
        "staging/stg_listen_events",
        "core/fact_listen_events",
        "marts/mart_daily_streams",
        "serving/dashboard_snapshot",
    ],
)
@pytest.mark.parametrize("hours", [(1, 2), (0, 2)], ids=["an_hour", "a_range"])
def test_an_asset_of_hours_alone(graph: Graph, key: str, hours: tuple[int, int]) -> None:
    first, end = hours
    tags = (
        {"dagster/partition": key_of(hour(first))}
        if end - first == 1
        else span_tags((hour(first), hour(end)))
    )
    result = launch(graph, (dg.AssetKey(key.split("/")),), tags=tags)
    assert result.success, failures(result)
    assert materialised(result) == {(key, key_of(hour(number))) for number in range(first, end)}
    assert {e.asset_key.to_user_string() for e in result.get_asset_check_evaluations()} <= {key}


@pytest.mark.parametrize("key", ["reference/songs", "external/songs_ext"])
def test_an_asset_without_hours_alone(graph: Graph, key: str) -> None:
    if key.startswith("external"):
        assert launch(graph, (dg.AssetKey(["reference", "songs"]),)).success
    result = launch(graph, (dg.AssetKey(key.split("/")),))
    assert result.success, failures(result)
    assert materialised(result) == {(key, None)}


def test_the_pages_show_what_a_check_says_of_each_hour(graph: Graph) -> None:
    """They hold a verdict that does not name the newest materialisation of its hour for out of date."""
    nodes = graph.defs.resolve_asset_graph()
    by_hour = [nodes.get(key) for key in nodes.asset_check_keys if nodes.get(key).partitions_def is not None]
    assert len(by_hour) > 10
    states = graph.instance.event_log_storage.get_asset_check_state(
        [(check.key, check.partitions_def) for check in by_hour]
    )
    for check in by_hour:
        newest: dict[str | None, str] = {}
        for record in graph.instance.event_log_storage.get_asset_check_execution_history(
            check.key, limit=100
        ):
            newest.setdefault(record.partition, record.status.value)  # the newest comes first
        assert set(newest) == {key_of(hour(number)) for number in range(3)}
        told: dict[str, set[str | None]] = {}
        for partition, status in newest.items():
            told.setdefault(status, set()).add(partition)
        shown = states[check.key].subsets
        assert {
            status.value: set(hours.subset_value.get_partition_keys())
            for status, hours in shown.items()
            if hours.size
        } == told, check.key


@pytest.mark.parametrize("tags", [{}, {"dagster/partition": key_of(hour(1))}], ids=["no_hours", "an_hour"])
def test_execute_all_of_an_assets_checks(graph: Graph, tags: dict[str, str]) -> None:
    """The button of a checks tab sends the checks, no asset and no partition."""
    before = graph.tables()
    checks = graph.defs.resolve_asset_graph().get_check_keys_for_assets({FACT})
    wanted = {check for check in checks if check.name != "freshness_check"}
    assert {"level_agrees_with_history", "event_id_is_unique"} <= {c.name for c in wanted}
    result = launch(graph, checks=tuple(wanted), tags=tags)
    assert result.success, failures(result)
    told: dict[dg.AssetCheckKey, list[str | None]] = {}
    for evaluation in result.get_asset_check_evaluations():
        told.setdefault(evaluation.asset_check_key, []).append(evaluation.partition)
    hours = [key_of(hour(1))] if tags else [key_of(hour(number)) for number in range(3)]
    assert told == {check: hours if check.name == "level_agrees_with_history" else [None] for check in wanted}
    assert not materialised(result)
    assert graph.tables() == before


def test_one_dbt_test_alone(graph: Graph) -> None:
    check = dg.AssetCheckKey(dg.AssetKey(["core", "dim_users"]), "assert_user_intervals_are_contiguous")
    result = launch(graph, checks=(check,))
    assert result.success, failures(result)
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.asset_check_key, evaluation.passed) == (check, True)


def test_a_dbt_test_that_fails_names_the_hours_and_stays_failed_until_they_are_run_again(
    graph: Graph,
) -> None:
    check = dg.AssetCheckKey(FACT, "level_is_known")

    def verdict(number: int) -> dg.AssetCheckEvaluation:
        result = launch(graph, checks=(check,), tags={"dagster/partition": key_of(hour(number))})
        assert result.success, failures(result)
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation

    with graph.warehouse.connect() as connection:
        connection.execute(
            "update fact_listen_events set level = 'gold' where bucket_ingestion_datetime = ?",
            [hour(1).replace(tzinfo=None)],
        )
    assert not verdict(1).passed
    other = verdict(2)
    assert not other.passed
    assert other.metadata["failing_hours"].value == [[key_of(hour(1)), key_of(hour(1))]]
    assert launch(graph, (FACT,), tags={"dagster/partition": key_of(hour(1))}).success, (
        "which replaces the row"
    )
    assert verdict(2).passed


@pytest.mark.parametrize("is_disturbed", [False, True], ids=["alone", "disturbed"])
def test_tests_take_the_work_of_their_own_run_and_no_other_ones(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, is_disturbed: bool
) -> None:
    """A shell's run may take its turn at the warehouse between two steps of another run."""
    publish, made_anew = serving.bring_up_to_date, []

    def publish_after_another_run(*args: Any) -> Any:
        if is_disturbed:
            DbtRunner(graph.settings).run((hour(2), hour(3)))
        return publish(*args)

    monkeypatch.setattr(serving, "bring_up_to_date", publish_after_another_run)
    monkeypatch.setattr(DbtRunner, "run_scratch", lambda _dbt, span: made_anew.append(span))
    result = graph.run(1, 2)
    assert result.success, failures(result)
    assert made_anew == ([(hour(1), hour(2))] if is_disturbed else [])
