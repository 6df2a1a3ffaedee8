"""Personal fields whose days are over: the tables are those of a lake whose old events never had them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import dagster as dg
import pytest

from streaming_assets.automation import schedules
from streaming_assets.automation.schedules import build_expiry_schedule
from streaming_assets.checks.comparison import compare
from streaming_assets.events import BY_TOPIC, EVENT_TYPES
from streaming_assets.lake.expiry import expire
from streaming_assets_tests.graph import Graph, change, hour, info, listen, view
from streaming_assets_tests.integration.test_forget import tables

pytestmark = pytest.mark.integration

DAYS = 7
NAMES = {"lastName", "firstName", "zip", "userAgent"}
KINDS = tuple(
    replace(
        kind,
        fields=tuple(replace(f, retention_days=DAYS) if f.name in NAMES else f for f in kind.fields),
    )
    for kind in EVENT_TYPES
)
NAME = "Zyzzogeton"


def put_hour(graph: Graph, number: int, without_names: bool) -> None:
    """An hour of two users, the second of whom alone names a place; without names: as if nobody had ever told these."""

    def told(*events: dict[str, Any]) -> list[dict[str, Any]]:
        if not without_names:
            return list(events)
        return [{key: None if key in NAMES else value for key, value in one.items()} for one in events]

    at, offset = hour(number), 10 * number
    graph.put("user_info", at, told(info(at, 1), info(at, 2, lastName=NAME)) if number == 0 else [], offset)
    graph.put("page_view_events", at, told(view(at, 1, number, userAgent=NAME), view(at, 2, number)), offset)
    malformed = f'{{"offset": {offset + 2}, malformed: "{NAME}"'
    withheld = f'{{"offset":{offset + 2},"withheld'
    listens = told(listen(at, 1, number), listen(at, 2, number, zip="00001", city="Elsewhere"))
    mistyped = told(listen(at, 2, number + 1, duration="long", lastName=NAME))
    graph.put("listen_events", at, [*listens, withheld if without_names else malformed, *mistyped], offset)
    graph.put("status_change_events", at, told(change(at, 2, 7 + number)), offset)


def remains(graph: Graph, number: int) -> int:
    """How many texts of an hour's staging tell the name."""
    at = f"bucket_ingestion_datetime = '{hour(number):%Y-%m-%d %H:%M:%S}'"
    found = [
        graph.rows(f"select * from {table} where {at}")
        for table in ("stg_users", "stg_page_view_events", "stg_listen_events", "stg_quarantine")
    ]
    return sum(NAME in repr(row) for rows in found for row in rows)


def test_expired_fields_leave_lake_and_tables_as_if_they_had_never_come(
    make_graph: Callable[..., Graph],
) -> None:
    graph, bare = make_graph("home"), make_graph("bare")
    for number in (0, 1):
        put_hour(graph, number, without_names=False)
        put_hour(bare, number, without_names=number == 0)
    assert graph.run(0, 2).success
    assert bare.run(0, 2).success
    assert (remains(graph, 0), remains(graph, 1)) == (4, 3)

    assert expire(graph.lake, hour(1) + timedelta(days=DAYS), KINDS) == (4, [])
    held = compare(graph.lake, graph.warehouse, graph.settings, [])
    assert {*held.to_run} == {hour(0)}, "the reconciliation has it run"
    assert held.lost == {}
    with mock.patch.dict(BY_TOPIC, {kind.topic: kind for kind in KINDS}):
        again = graph.run(0, 1)
    assert again.success
    usual = [one for one in again.get_asset_check_evaluations() if one.check_name == "fields_are_as_usual"]
    assert [one.passed for one in usual] == [True], "what has expired is no departure"

    found, wanted = tables(graph), tables(bare)
    places = "dim_locations"  # one that nobody names any more stays
    assert {*found.pop(places)} >= {*wanted.pop(places)}
    assert found == wanted
    assert (remains(graph, 0), remains(graph, 1)) == (0, 3)
    assert compare(graph.lake, graph.warehouse, graph.settings, []).to_run == {}


def test_what_a_replay_brings_into_an_old_hour_is_expired_before_it_is_read(
    make_graph: Callable[..., Graph],
) -> None:
    graph = make_graph("home")
    graph.put("user_info", hour(0), [info(hour(0), 1, lastName=NAME)])
    with mock.patch("streaming_assets.assets.external_tables.EVENT_TYPES", KINDS):
        assert graph.run(0, 1).success
    assert graph.rows("select user_id, last_name from stg_users") == [(1, None)]
    assert NAME not in repr(graph.rows("select * from dim_users"))


def test_the_schedule_names_what_it_could_not_look_into(
    make_graph: Callable[..., Graph],
) -> None:
    graph = make_graph("home")
    name = graph.put("user_info", hour(0), [info(hour(0), 1, lastName=NAME)])
    job = build_expiry_schedule(graph.settings).job
    assert isinstance(job, dg.JobDefinition)
    with mock.patch.object(schedules, "EVENT_TYPES", KINDS):
        graph.put_bytes(str(name), b"no gzip")
        failed = job.execute_in_process(instance=graph.instance, raise_on_error=False)
        (event,) = failed.get_step_failure_events()
        assert "it is no gzip" in str(event.step_failure_data.user_failure_data.description)
        graph.put("user_info", hour(0), [info(hour(0), 1, lastName=NAME)])
        done = job.execute_in_process(instance=graph.instance)
    (output,) = [event for event in done.all_events if event.event_type_value == "STEP_OUTPUT"]
    assert output.step_output_data.metadata["objects"].value == 1
