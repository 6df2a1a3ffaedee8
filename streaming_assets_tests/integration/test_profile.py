"""What no row's judgement sees: fields that fall silent, values that nobody knows, copies that disagree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from streaming_assets.checks.drift import SCHEMA_DRIFT
from streaming_assets.partitions import key_of
from streaming_assets_tests.graph import Graph, change, failures, hour, info, listen, ms, view

# One world serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("profile")]

GOOD, RENAMED, AUTH, PAGE, CITY, SONG, CENTS = range(7)
END = 7


def _ads(number: int, **other: Any) -> list[dict[str, Any]]:
    """Twenty advertisements of a cent each, seen in as many minutes, and a page."""
    seen = [view(hour(number), item=item, page="PlayAd") | {"ad_revenue": 0.01} | other for item in range(20)]
    return [*seen, view(hour(number), item=20)]


def _renamed(event: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in event.items()}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path_factory.mktemp("profile"), parsed_project)
    views = {
        GOOD: _ads(GOOD),
        RENAMED: [_renamed(event, "ad_revenue", "adRevenue") for event in _ads(RENAMED)],
        AUTH: _ads(AUTH, auth="LOGGED_IN"),
        PAGE: _ads(PAGE, page="Play Ad"),
        CENTS: _ads(CENTS, ad_revenue=1),
    }
    for number, events in views.items():
        graph.put("page_view_events", hour(number), events)
    graph.put("listen_events", hour(GOOD), [listen(hour(GOOD)), listen(hour(GOOD), item=1, gender="x")])
    graph.put(
        "listen_events", hour(CITY), [_renamed(listen(hour(CITY), item=n), "city", "town") for n in (0, 1)]
    )
    graph.put(
        "listen_events",
        hour(SONG),
        [_renamed(listen(hour(SONG), item=n), "song", "track") | {"userId": "1"} for n in range(3)],
    )
    graph.put("user_info", hour(GOOD), [info(hour(GOOD))])
    yield graph
    graph.close()


Findings = dict[str, dict[str | None, list[tuple[str, ...]]]]


def findings(result: dg.ExecuteInProcessResult) -> Findings:
    """What the checks that did not pass found, by check and hour."""
    assert result.success, failures(result)
    found: Findings = {}
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed:
            assert evaluation.severity == dg.AssetCheckSeverity.WARN
            table = evaluation.metadata["first_findings"]
            assert isinstance(table, dg.TableMetadataValue)
            rows = [tuple(str(value) for value in record.data.values())[1:] for record in table.records]
            found.setdefault(evaluation.check_name, {})[evaluation.partition] = rows
    return found


@pytest.fixture(scope="module")
def told(graph: Graph) -> Findings:
    return findings(graph.run(0, END))


DEPARTURES = {
    RENAMED: [("page_view_events", "ad_revenue", "absent", "", "20", "20")],
    AUTH: [("page_view_events", "auth", "unknown value", "LOGGED_IN", "20", "21")],
    PAGE: [("page_view_events", "page", "unknown value", "Play Ad", "20", "21")],
    CITY: [("listen_events", "city", "absent", "", "2", "2")],
    CENTS: [("page_view_events", "ad_revenue", "mean out of bounds", "1.000000", "20", "20")],
}


def test_hours_that_depart_are_told_by_field_and_value(told: Findings) -> None:
    assert told["fields_are_as_usual"] == {
        key_of(hour(number)): departures for number, departures in DEPARTURES.items()
    }


DRIFT = {
    RENAMED: [("page_view_events", "adRevenue", "unknown field", "", "20", "21")],
    CITY: [("listen_events", "town", "unknown field", "", "2", "2")],
    SONG: [
        ("listen_events", "song", "stopped", "", "3", "3"),
        ("listen_events", "track", "unknown field", "", "3", "3"),
        ("listen_events", "userId", "other type", "string for integer", "3", "3"),
    ],
}


def test_drift_of_schema_is_told_by_topic_and_hour(told: Findings) -> None:
    assert told["schema_follows_contract"] == {key_of(hour(number)): found for number, found in DRIFT.items()}


def test_the_asset_keeps_each_hours_drift_and_since_when(graph: Graph, told: Findings) -> None:
    graph.run(CENTS, END, asset_selection=[SCHEMA_DRIFT])
    records = graph.instance.fetch_materializations(SCHEMA_DRIFT, limit=100).records
    counts = ("unknown_fields", "stopped_fields", "retyped_fields")
    kept = {
        record.partition_key: tuple(record.asset_materialization.metadata[name].value for name in counts)
        for record in records
    }
    drifted = {RENAMED: (1, 0, 0), CITY: (1, 0, 0), SONG: (1, 1, 1)}
    assert kept == {key_of(hour(number)): drifted.get(number, (0, 0, 0)) for number in range(END)}
    tables = [r.asset_materialization.metadata.get("history") for r in records]
    (alone, of_all) = [table for table in tables if isinstance(table, dg.TableMetadataValue)]
    assert alone == of_all, "a run of the newest hour alone looks back"
    columns = [column.name for column in of_all.schema.columns]
    rows = [tuple(record.data[name] for name in columns) for record in of_all.records]
    song, city = key_of(hour(SONG)), key_of(hour(CITY))
    assert rows[-2:] == [
        ("listen_events", "town", "unknown field", "", city, city, 1, 2),
        (
            "page_view_events",
            "adRevenue",
            "unknown field",
            "",
            key_of(hour(RENAMED)),
            key_of(hour(RENAMED)),
            1,
            20,
        ),
    ]
    assert ("listen_events", "song", "stopped", "", song, song, 1, 3) in rows[:-2]


def test_the_profile_keeps_each_hours_figures(graph: Graph, told: Any) -> None:
    found = graph.rows(
        "select row_count, null_count, lowest::double, highest::double, mean::double from stg_field_profile"
        f" where field = 'ad_revenue' and bucket_ingestion_datetime = '{hour(GOOD):%Y-%m-%d %H:%M:%S}'"
    )
    assert found == [(20, 0, 0.01, 0.01, 0.01)]
    assert graph.rows(
        "select count(distinct field) from stg_field_profile where topic = 'listen_events'"
    ) == [(11,)]


# Copies and records that disagree


@pytest.fixture(scope="module")
def disagreeing(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path_factory.mktemp("disagreeing"), parsed_project)
    songs = ["Hello", "Goodbye", "Hello again"]
    graph.put("listen_events", hour(0), [listen(hour(0), song=song) for song in songs])
    graph.put("listen_events", hour(1), [listen(hour(1)), listen(hour(1)), listen(hour(0), song="Goodbye")])
    graph.put("user_info", hour(0), [info(hour(0), user=user) for user in (1, 2, 3)])
    registered = {"registration": ms(hour(-1))}
    again = [info(hour(2), user=1, firstName="Eve") | registered, info(hour(2), user=2) | registered]
    graph.put("user_info", hour(2), again)
    graph.put("user_info", hour(3), [info(hour(3), user=2, registration=ms(hour(1)), level="paid")])
    graph.put(
        "status_change_events",
        hour(4),
        [
            change(hour(-1), user=3),  # the moment of registration
            change(hour(2), user=3),  # to paid
            change(hour(4), user=3, item=1),  # once more to paid: the change back is lost
            change(hour(4), user=1),
        ],
    )
    yield graph
    graph.close()


def test_copies_and_records_that_disagree_are_told(disagreeing: Graph) -> None:
    found = findings(disagreeing.run(0, 6))["records_agree"]
    assert found == {
        key_of(hour(0)): [
            ("listen_events", "copies in the hour differ in song", "", "1"),
            ("listen_events", "copies in other hours differ in song", "", "1"),
        ],
        key_of(hour(1)): [("listen_events", "copies in other hours differ in song", "", "1")],
        key_of(hour(2)): [("user_info", "another name or gender than the first record says", "1", "1")],
        key_of(hour(3)): [
            ("user_info", "another level than the history says", "2", "1"),
            ("user_info", "another registration than the first record says", "2", "1"),
        ],
        key_of(hour(4)): [
            ("status_change_events", "a change at or before registration", "3", "1"),
            ("status_change_events", "a change from a level that was left before", "3", "1"),
        ],
    }
    facts = (
        "select song, copies from stg_listen_events where bucket_ingestion_datetime = '2025-03-01 00:00:00'"
    )
    assert disagreeing.rows(facts) == [("Hello", 3)], "the first to arrive counts"
