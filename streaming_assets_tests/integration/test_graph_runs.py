"""Runs of the hourly job in process, dbt included: ranges, single hours, any order, again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.assets.external_tables import BYTES_TAKEN_IN
from streaming_assets.assets.keys import external_key
from streaming_assets.partitions import key_of
from streaming_assets.warehouses.warehouse import Cost, Warehouse
from streaming_assets_tests.graph import Graph, change, failures, hour, info, listen, view

# One world serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("graph_runs")]

HOURS = 4
FACT = dg.AssetKey(["core", "fact_listen_events"])
LISTENS = dg.AssetKey(["staging", "stg_listen_events"])
# When each user was first seen is what a run knew at its time.
BOOKKEEPING = "select * exclude (first_seen_datetime) from dim_users"
Metadata = dict[tuple[dg.AssetKey, str], dict[str, object]]


def fill(graph: Graph) -> None:
    """Hours with late, repeated and re-keyed rows, a session across all of them, and an hour of one topic alone."""
    graph.put("user_info", hour(1), [info(hour(0), user=1), info(hour(1), user=2)], stream_epoch="a")
    for number in range(HOURS):
        at = hour(number)
        graph.put("listen_events", at, [listen(at, item=2 * number), listen(at, user=2)], 2 * number)
        if number != 2:
            graph.put("page_view_events", at, [view(at, item=number), view(at, 9, number, auth="Guest")], 10)
    # A copy that an earlier hour holds as well, and a change of level that arrives after the listens it re-keys.
    graph.put("page_view_events", hour(3), [view(hour(0))], offset=90, partition=1)
    graph.put("status_change_events", hour(3), [change(hour(1), level="free")])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Callable[[str], Graph]]:
    graphs: list[Graph] = []

    def make(name: str) -> Graph:
        graph = Graph(tmp_path_factory.mktemp(name), parsed_project)
        fill(graph)
        graphs.append(graph)
        return graph

    yield make
    for graph in graphs:
        graph.close()


@pytest.fixture(scope="module")
def ranged(world: Callable[[str], Graph]) -> tuple[Graph, dg.ExecuteInProcessResult]:
    """All hours in one run."""
    graph = world("ranged")
    return graph, graph.run(0, HOURS)


@pytest.fixture(scope="module")
def reverse(world: Callable[[str], Graph]) -> tuple[Graph, list[dg.ExecuteInProcessResult]]:
    """Each hour in a run of its own, the last first."""
    graph = world("reverse")
    return graph, [graph.run(number, number + 1) for number in reversed(range(HOURS))]


def facts(graph: Graph) -> dict[str, list[tuple]]:
    return graph.tables() | {"dim_users": sorted(graph.rows(BOOKKEEPING), key=repr)}


def metadata(*results: dg.ExecuteInProcessResult) -> Metadata:
    """What the materialisations of partitions tell: by asset and partition key."""
    found: Metadata = {}
    for result in results:
        for event in result.all_events:
            if event.is_step_materialization and event.partition:
                values = event.materialization.metadata.items()
                found[event.asset_key or dg.AssetKey("none"), event.partition] = {
                    name: value.value for name, value in values
                }
    return found


def test_a_range_is_one_run_that_materialises_each_hour_of_each_table(
    ranged: tuple[Graph, dg.ExecuteInProcessResult],
) -> None:
    graph, result = ranged
    assert result.success, failures(result)
    partitioned = {
        key
        for key in graph.defs.resolve_job_def("hourly").asset_layer.executable_asset_keys
        if graph.defs.resolve_asset_graph().get(key).partitions_def
    }
    assert {key.path[0] for key in partitioned} == {"external", "staging", "core", "marts", "serving"}
    wanted = {(key, key_of(hour(number))) for key in partitioned for number in range(HOURS)}
    assert set(metadata(result)) == wanted


def test_the_range_fills_the_tables(ranged: tuple[Graph, dg.ExecuteInProcessResult]) -> None:
    graph, _ = ranged
    assert graph.rows("select count(*) from fact_listen_events") == [(2 * HOURS,)]
    assert graph.rows("select user_id, num_pages_visited from fact_session_events") == [(1, 3)]
    assert graph.rows("select sum(row_count) from stg_filtered_rows") == [(HOURS - 1,)]
    keyed = "select users.level, count(*) from fact_listen_events join dim_users as users using (pk_user)"
    assert graph.rows(f"{keyed} where users.user_id = 1 group by all order by all") == [
        ("free", 1),
        ("paid", 3),
    ]


def test_all_checks_of_a_sound_range_pass(ranged: tuple[Graph, dg.ExecuteInProcessResult]) -> None:
    _, result = ranged
    evaluations = result.get_asset_check_evaluations()
    # The lake's users change their level once in few listens: far more disagree than in any real hour.
    failed = {(e.asset_key.path[-1], e.check_name) for e in evaluations if not e.passed}
    assert failed == {("fact_listen_events", "level_agrees_with_history")}
    wanted = {
        "fields_are_as_usual",
        "schema_follows_contract",
        "records_agree",
        "objects_are_readable",
        "rows_are_accounted_for",
        "offsets_are_contiguous",
        "share_in_quarantine",
    }
    assert wanted < {e.check_name for e in evaluations}
    told: dict[dg.AssetCheckKey, list[str | None]] = {}
    for e in evaluations:
        told.setdefault(e.asset_check_key, []).append(e.partition)
    by_hour = [key_of(hour(number)) for number in range(HOURS)]
    assert {tuple(hours) for hours in told.values()} == {tuple(by_hour), (None,)}, (
        "each hour, or the range once"
    )
    assert {key.name for key, hours in told.items() if hours == by_hour} == wanted | {
        "level_agrees_with_history"
    }


def test_hours_in_reverse_give_the_same_tables(
    ranged: tuple[Graph, dg.ExecuteInProcessResult], reverse: tuple[Graph, list[dg.ExecuteInProcessResult]]
) -> None:
    graph, results = reverse
    assert all(result.success for result in results), "\n".join(map(failures, results))
    forward = facts(ranged[0])
    assert facts(graph) == forward
    assert {"stg_listen_events", "dim_users", "fact_session_events", "mart_weekly_users"} < set(forward)


def test_a_range_tells_of_each_hour_what_its_own_run_tells(
    ranged: tuple[Graph, dg.ExecuteInProcessResult], reverse: tuple[Graph, list[dg.ExecuteInProcessResult]]
) -> None:
    of_range, of_hours = metadata(ranged[1]), metadata(*reverse[1])
    assert set(of_range) == set(of_hours)
    counted = ("dagster/partition_row_count", "objects", "bytes", "first_event", "last_event")
    for where, values in of_range.items():
        if where[0].path[0] in ("external", "staging") or where[0] == FACT:
            single = of_hours[where]
            assert {n: values.get(n) for n in counted} == {n: single.get(n) for n in counted}, where
    at = key_of(hour(2))
    assert of_range[LISTENS, at]["dagster/partition_row_count"] == 2
    assert of_range[LISTENS, at]["first_event"] == hour(2).timestamp()
    empty = of_range[external_key("page_view_events_ext"), at]
    assert {name: empty[name] for name in counted[:3]} == {
        "dagster/partition_row_count": 0,
        "objects": 0,
        "bytes": 0,
    }


def test_rows_and_bytes_of_an_hour_are_its_objects(ranged: tuple[Graph, dg.ExecuteInProcessResult]) -> None:
    graph, result = ranged
    folder = graph.lake.stored.root / "raw/page_view_events/date=2025-03-01 03:00:00+00"
    objects = list(folder.iterdir())
    told = metadata(result)[external_key("page_view_events_ext"), key_of(hour(3))]
    assert told["objects"] == len(objects) == 2
    assert told["bytes"] == sum(path.stat().st_size for path in objects)
    assert told["dagster/partition_row_count"] == 3
    all_hours = sum(found.size for found in graph.lake.list("raw/page_view_events/"))
    assert told[BYTES_TAKEN_IN] == all_hours > told["bytes"]


@pytest.mark.parametrize(("first", "end"), [(1, 2), (0, HOURS)])
def test_hours_again_change_no_row(
    ranged: tuple[Graph, dg.ExecuteInProcessResult], first: int, end: int
) -> None:
    graph, _ = ranged
    before = graph.tables()
    result = graph.run(first, end)
    assert result.success, failures(result)
    assert graph.tables() == before


def test_the_snapshot_is_published_with_the_run(ranged: tuple[Graph, dg.ExecuteInProcessResult]) -> None:
    graph, result = ranged
    assert list(graph.settings.published_dir.rglob("*.parquet"))
    assert graph.warehouse.queued_days() == {}
    steps = [event.step_key for event in result.all_events if event.is_step_success]
    assert set(steps[steps.index("serving__dashboard_snapshot") + 1 :]) == {
        "staging__schema_drift",
        "model_tests",
        "hourly_checks",
    }, "readers do not wait for checks"


def test_what_models_cost_is_told_an_hours_part_for_each_hour(
    world: Callable[[str], Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    billed = {"fact_listen_events": Cost(2**40, 4000), "base_listen_events": Cost(3 * 2**20, 0)}
    monkeypatch.setattr(Warehouse, "costs", lambda _warehouse, _since: billed)
    graph = world("billed")
    result = graph.run(0, 2)
    assert result.success, failures(result)
    told = metadata(result)
    assert {at: told[FACT, at]["cost_usd"] for at in (key_of(hour(0)), key_of(hour(1)))} == {
        key_of(hour(0)): graph.settings.bigquery.usd_per_tib / 2,
        key_of(hour(1)): graph.settings.bigquery.usd_per_tib / 2,
    }
    assert told[FACT, key_of(hour(0))]["slot_seconds"] == 2
    assert told[LISTENS, key_of(hour(0))]["bytes_billed"] == round(3 * 2**20 / 7 / 2), (
        "a seventh of what parsing cost, for two hours: four staging tables beside it and two dimensions read it too"
    )
    assert "bytes_billed" not in told[dg.AssetKey(["staging", "stg_users"]), key_of(hour(0))]
