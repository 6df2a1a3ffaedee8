"""Rows and objects that are not as they should be, an hour for each kind, through the whole graph in one run."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from streaming_assets.lake.names import ObjectName
from streaming_assets.partitions import key_of
from streaming_assets_tests.graph import Graph, failures, hour, in_lake, info, listen, view, without

# One world serves all tests of the module, so they stay on one worker.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("faults_rows")]

STRANGE = "a\u2028b\u2029c\u0085d\ve\ff\x1cg"  # what Python's splitlines would break at


def _listen(number: int, **other: Any) -> dict[str, Any]:
    return listen(hour(number), **other)


# What an hour's only object of listens holds: lines, and the reasons of those in quarantine, then how many are staged.
LISTENS: dict[int, tuple[list[Any], list[str], int]] = {
    0: (['{"value": {"ts": 1', "lost", ""], ["malformed JSON", "malformed JSON"], 0),
    1: (['{"value": 5, "offset": 0}', '{"value": null, "offset": 1}', "[]"], ["value is no object"] * 3, 0),
    2: (
        [without(_listen(2), field) for field in ("userId", "artist", "level", "duration", "ts")],
        ["missing userId", "missing artist", "missing level", "missing duration", "missing ts"],
        0,
    ),
    3: (
        [
            _listen(3, userId="Ann"),
            _listen(3, ts="yesterday"),
            _listen(3, duration={}),
            _listen(3, itemInSession=1.5),
        ],
        ["mistyped userId", "mistyped ts", "mistyped duration", "mistyped itemInSession"],
        0,
    ),
    4: (
        [_listen(4, ts=-1), _listen(4, level="gold"), _listen(4, duration=0)],
        ["ts before 2000-01-01", "impossible level", "impossible duration"],
        0,
    ),
    5: ([_listen(5, userId="7", duration="200.5"), _listen(5, user=8, extra={"a": [1]})], [], 2),
    6: ([_listen(6, song=STRANGE, artist=STRANGE), "lost " + STRANGE], ["malformed JSON"], 1),
    7: ([_listen(7), "", "  \t ", _listen(7, item=1)], [], 2),
    8: (["\ufeff" + in_lake(_listen(8), 0), in_lake(_listen(8, item=1), 1) + "\r"], [], 2),
    9: (
        ["cut\rin two", _listen(9), "\x00", "a\x00b\x01", "\x0b", "\rcut\r\r"],
        ["malformed JSON"] * 5,
        1,
    ),
}
EMPTY, NOTHING, NO_NEWLINE, NEWLINE = 10, 11, 12, 13  # hours of objects that are written byte by byte below
END = 14


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path_factory.mktemp("faults"), parsed_project)
    for number, (lines, _, _) in LISTENS.items():
        graph.put("listen_events", hour(number), lines)
    line = in_lake(_listen(NO_NEWLINE), 0).encode()
    for number, data in {
        EMPTY: b"",
        NOTHING: gzip.compress(b""),
        NO_NEWLINE: gzip.compress(line),
        NEWLINE: gzip.compress(line + b"\n"),
    }.items():
        graph.put_bytes(ObjectName("listen_events", hour(number), 0, 0), data)
    graph.put("page_view_events", hour(3), [view(hour(3), ad_revenue="free"), view(hour(3), item=1)])
    graph.put("user_info", hour(3), [info(hour(3), registration=None), info(hour(3))])
    graph.put_bytes("raw/listen_events/date=2025-03-01 03:00:00+00/notes.txt", b"not an event")
    graph.put_bytes("raw/listen_events/date=2025-03-01 03:00:00+00/0000000000-1.gz", b"not an object")
    graph.put_bytes("raw/other_events/date=2025-03-01 03:00:00+00/0000000000-00000000000000000000.gz", b"x")
    yield graph
    graph.close()


@pytest.fixture(scope="module")
def result(graph: Graph) -> dg.ExecuteInProcessResult:
    return graph.run(0, END)


def test_no_row_stops_the_run(result: dg.ExecuteInProcessResult) -> None:
    assert result.success, failures(result)


@pytest.mark.parametrize("number", LISTENS)
def test_rows_are_staged_or_in_quarantine_with_their_reason(
    graph: Graph, result: dg.ExecuteInProcessResult, number: int
) -> None:
    _, reasons, staged = LISTENS[number]
    where = f"where bucket_ingestion_datetime = timestamp '{hour(number):%Y-%m-%d %H:%M:%S}'"
    found = graph.rows(f"select reason from stg_quarantine {where} and topic = 'listen_events'")
    assert sorted(reason for (reason,) in found) == sorted(reasons)
    assert graph.rows(f"select count(*) from stg_listen_events {where}") == [(staged,)]


def test_quarantine_keeps_the_bytes_and_where_they_came_from(
    graph: Graph, result: dg.ExecuteInProcessResult
) -> None:
    columns = "raw_text, kafka_partition, kafka_offset, object_name, reason"
    found = graph.rows(
        f"select {columns} from stg_quarantine where bucket_ingestion_datetime = timestamp '2025-03-01 03:00:00'"
        " and topic = 'listen_events' order by kafka_offset"
    )
    name = str(ObjectName("listen_events", hour(3), 0, 0))
    assert [row[1:4] for row in found] == [(0, offset, name) for offset in range(4)]
    assert [row[0] for row in found] == [in_lake(event, offset) for offset, event in enumerate(LISTENS[3][0])]


def test_characters_that_end_lines_elsewhere_are_kept(
    graph: Graph, result: dg.ExecuteInProcessResult
) -> None:
    hour_6 = "where bucket_ingestion_datetime = timestamp '2025-03-01 06:00:00'"
    assert graph.rows(f"select artist from stg_listen_events {hour_6}") == [(STRANGE,)]
    assert graph.rows(f"select raw_text from stg_quarantine {hour_6}") == [("lost " + STRANGE,)]


def test_control_characters_in_a_malformed_line_are_kept(
    graph: Graph, result: dg.ExecuteInProcessResult
) -> None:
    """A line feed ends a line; nothing else does."""
    hour_9 = "where bucket_ingestion_datetime = timestamp '2025-03-01 09:00:00'"
    found = [text for (text,) in graph.rows(f"select raw_text from stg_quarantine {hour_9}")]
    assert sorted(found) == sorted(["cut\rin two", "\x00", "a\x00b\x01", "\x0b", "\rcut\r\r"])


@pytest.mark.parametrize(("number", "staged"), [(EMPTY, 0), (NOTHING, 0), (NO_NEWLINE, 1), (NEWLINE, 1)])
def test_empty_objects_and_last_lines(
    graph: Graph, result: dg.ExecuteInProcessResult, number: int, staged: int
) -> None:
    where = f"where bucket_ingestion_datetime = timestamp '{hour(number):%Y-%m-%d %H:%M:%S}'"
    assert graph.rows(f"select row_count, error from lake_objects {where} and topic = 'listen_events'") == [
        (staged, None)
    ]
    assert graph.rows(f"select count(*) from stg_listen_events {where}") == [(staged,)]


def test_other_topics_quarantine_as_well(graph: Graph, result: dg.ExecuteInProcessResult) -> None:
    found = graph.rows("select topic, reason from stg_quarantine where topic <> 'listen_events' order by all")
    assert found == [("page_view_events", "mistyped ad_revenue"), ("user_info", "missing registration")]


def test_strays_are_told_and_not_read(graph: Graph, result: dg.ExecuteInProcessResult) -> None:
    assert graph.rows("select count(*) from lake_objects where topic = 'other_events'") == [(0,)]
    objects = graph.rows("select count(*) from lake_objects where topic = 'listen_events'")
    assert objects == [(END,)]


def test_checks_say_that_nothing_is_lost_and_that_much_is_in_quarantine(
    graph: Graph, result: dg.ExecuteInProcessResult
) -> None:
    found = result.get_asset_check_evaluations()
    for rows in (e for e in found if e.check_name == "rows_are_accounted_for"):
        assert rows.passed, json.dumps(
            {name: value.value for name, value in rows.metadata.items()}, default=str
        )
    quarantine = {e.partition: e for e in found if e.check_name == "share_in_quarantine"}
    bad = {number for number, (_, reasons, _) in LISTENS.items() if reasons}
    assert {at for at, e in quarantine.items() if not e.passed} == {key_of(hour(number)) for number in bad}
    assert {quarantine[key_of(hour(n))].severity for n in bad} == {dg.AssetCheckSeverity.WARN}
    rows_of = {n: quarantine[key_of(hour(n))].metadata["rows"].value for n in bad}
    assert rows_of == {n: len(LISTENS[n][1]) + (2 if n == 3 else 0) for n in bad}
    assert quarantine[key_of(hour(0))].metadata["highest_share"].value == 1.0
