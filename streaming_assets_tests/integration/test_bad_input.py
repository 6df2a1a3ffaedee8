"""Values that are valid JSON and wrong, strange or the same as others: an hour of them through the whole graph.

The same outcomes hold for the files in STREAMING_ASSETS_TEST_DATA/bad_input, which came from outside.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.dagster_runtime.runs import span_tags
from streaming_assets.lake.names import HOUR, ObjectName
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import Graph, failures, hour, listen, ms, without

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("bad_input")]

DATA = (
    Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data")) / "bad_input"
)
DAY = 24 * 3_600_000
NOW = ms(hour(0))

# What a listen holds instead, and why it is in quarantine, None if it is staged.
VALUES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a Japanese title": ({"artist": "\u6b4c\u624b", "song": "\u5149"}, None),
    "another, as long": ({"artist": "\u6b4c\u624b", "song": "\u685c\u6d41\u3057"}, None),
    "accents, composed": ({"artist": "Zo\u00eb", "song": "D\u00e9j\u00e0 Vu"}, None),
    "accents, decomposed": ({"artist": "Zoe\u0308", "song": "De\u0301ja\u0300 Vu"}, None),
    "accents gone": ({"artist": "Zo\u00eb", "song": "Dj Vu"}, None),
    "a curly apostrophe": ({"song": "Don\u2019t"}, None),
    "a straight one": ({"song": "Don't"}, None),
    "time in seconds": ({"ts": NOW // 1000}, "ts looks like seconds"),
    "time in microseconds": ({"ts": NOW * 1000}, "ts looks like microseconds"),
    "time in nanoseconds": ({"ts": NOW * 1_000_000}, "ts looks like nanoseconds"),
    "in a day": ({"ts": NOW + DAY}, None),
    "in a day and a moment": ({"ts": NOW + DAY + 1}, "ts after its ingestion hour by more than 24 h"),
    "time 0": ({"ts": 0}, "ts before 2000-01-01"),
    "the year 9999": ({"ts": 253402300799999}, "ts after its ingestion hour by more than 24 h"),
    "a number for a postal code": ({"zip": 2139, "state": "MA", "city": "Cambridge"}, None),
    "a state in lower case": ({"zip": "02139", "state": "ma", "city": "Cambridge"}, None),
    "a state's name": ({"zip": "02139", "state": "Massachusetts", "city": "CAMBRIDGE"}, None),
    "blanks around a city": ({"zip": " 02139", "state": "MA ", "city": "Cambridge  "}, None),
    "no state": ({"state": ""}, None),
    "a state that is an object": ({"state": {"code": "MA"}}, "mistyped state"),
    "an artist that is an array": ({"artist": ["Ann"]}, "mistyped artist"),
    "a title in brackets": ({"song": "[Untitled]"}, None),
    "text that is JSON": ({"song": '{"a": 1}'}, None),
    "a day's song": ({"duration": 86_400}, None),
    "a longer one": ({"duration": 86_400.01}, "impossible duration"),
    "beyond any song": ({"duration": 999999999999.999}, "impossible duration"),
    "a separator in the artist": ({"artist": "A\x1fB", "song": "C", "duration": 100}, None),
    "the same, split elsewhere": ({"artist": "A", "song": "B\x1fC", "duration": 100}, None),
    "a formula": ({"artist": "@SUM(1)", "song": "=1+1"}, None),
    "an extra field": ({"device_model": "X1"}, None),
    "blanks in a number": ({"duration": " 200 "}, "mistyped duration"),
    "separators in a number": ({"itemInSession": "1_000"}, "mistyped itemInSession"),
    "an item beyond any session": ({"itemInSession": 2**40}, "impossible itemInSession"),
}
USERS = {what: 1000 + number for number, what in enumerate(VALUES)}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Iterator[Graph]:
    graph = Graph(tmp_path_factory.mktemp("bad_input"), parsed_project)
    events = [listen(hour(0), user=USERS[what]) | changed for what, (changed, _) in VALUES.items()]
    renamed = without(listen(hour(0), user=1), "song") | {"track": "Hello"}
    graph.put("listen_events", hour(0), [*events, renamed])
    # An offset below all that there can be, in an object of its own.
    graph.put("listen_events", hour(1), [f'{{"value": {json.dumps(listen(hour(1)))}, "offset": {-(2**63)}}}'])
    result = graph.run(0, 2)
    assert result.success, failures(result)
    yield graph
    graph.close()


def song_of(graph: Graph, what: str) -> tuple[str, str]:
    ((title, artist),) = graph.rows(
        "select title, artist from fact_listen_events inner join dim_songs using (pk_song)"
        f" where user_id = {USERS[what]}"
    )
    return title, artist


def key_of(graph: Graph, what: str, key: str = "pk_song") -> str:
    ((found,),) = graph.rows(f"select {key} from fact_listen_events where user_id = {USERS[what]}")
    return found


def test_each_row_is_staged_or_in_quarantine_with_its_reason(graph: Graph) -> None:
    found = {
        json.loads(text)["value"]["userId"]: reason
        for text, reason in graph.rows("select raw_text, reason from stg_quarantine")
    }
    assert found == {USERS[what]: reason for what, (_, reason) in VALUES.items() if reason} | {
        1: "missing song"
    }
    staged = {user for (user,) in graph.rows("select user_id from fact_listen_events where user_id >= 1000")}
    assert staged == {USERS[what] for what, (_, reason) in VALUES.items() if reason is None}


def test_text_is_kept_as_it_came(graph: Graph) -> None:
    for what, (changed, reason) in VALUES.items():
        if reason is None and "song" in changed:
            assert graph.rows(f"select song from stg_listen_events where user_id = {USERS[what]}") == [
                (changed["song"],)
            ]
    assert song_of(graph, "a Japanese title") == ("\u5149", "\u6b4c\u624b")
    assert song_of(graph, "a formula") == ("=1+1", "@SUM(1)")


@pytest.mark.parametrize(
    ("one", "other"),
    [("accents, composed", "accents, decomposed"), ("a curly apostrophe", "a straight one")],
)
def test_spellings_are_one_song(graph: Graph, one: str, other: str) -> None:
    assert key_of(graph, one) == key_of(graph, other)
    assert song_of(graph, one) == song_of(graph, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a Japanese title", "another, as long"),
        ("accents, composed", "accents gone"),
        ("a separator in the artist", "the same, split elsewhere"),
    ],
)
def test_other_songs_have_other_keys(graph: Graph, one: str, other: str) -> None:
    assert key_of(graph, one) != key_of(graph, other)


def test_one_place_is_one_member(graph: Graph) -> None:
    written = [
        what
        for what, (changed, _) in VALUES.items()
        if str(changed.get("city", "")).upper().startswith("CAM")
    ]
    assert len(written) == 4
    (key,) = {key_of(graph, what, "pk_location") for what in written}
    columns = "standardised_postal_code, city, state, state_code"
    assert graph.rows(f"select {columns} from dim_locations where pk_location = '{key}'") == [
        ("02139", "CAMBRIDGE", "Massachusetts", "MA")
    ]
    assert graph.rows(
        f"select state_code from dim_locations where pk_location = '{key_of(graph, 'no state', 'pk_location')}'"
    ) == [("NO STATE",)]


def test_an_impossible_offset_is_none(graph: Graph) -> None:
    where = "where bucket_ingestion_datetime = timestamp '2025-03-01 01:00:00'"
    assert graph.rows(f"select kafka_offset from stg_listen_events {where}") == [(None,)]


def _needs_data() -> None:
    if not DATA.exists():
        pytest.skip(f"{DATA} is not there: STREAMING_ASSETS_TEST_DATA names its folder's parent")


def test_values_from_outside_have_their_outcomes(make_graph: Callable[..., Graph]) -> None:
    _needs_data()
    graph = make_graph()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    graph.put("listen_events", at, map(json.loads, (DATA / "values.jsonl").read_text().splitlines()))
    result = graph.defs.resolve_job_def("hourly").execute_in_process(
        instance=graph.instance, tags=span_tags((at, at + HOUR)), raise_on_error=False
    )
    assert result.success, failures(result)
    found = dict(graph.rows("select kafka_offset, reason from stg_quarantine"))
    assert found == {
        8: "ts looks like seconds",
        9: "ts after its ingestion hour by more than 24 h",
        10: "ts before 2000-01-01",
        15: "mistyped state",
        16: "impossible duration",
        21: "missing song",
    }
    ((unknown,),) = graph.rows("select unknown_fields from lake_objects where topic = 'listen_events'")
    assert json.loads(unknown) == {
        "rows": 22,
        "fields": {"device_model": 1, "track": 1},
        "types": {"zip": {"integer": 1}, "state": {"object": 1}},
    }
    keys = dict(graph.rows("select user_id - 1000, pk_song from fact_listen_events"))
    assert keys[2] == keys[3] != keys[4]
    assert keys[6] == keys[7]
    assert len({keys[row] for row in (0, 1, 17, 18)}) == 4
    places = dict(graph.rows("select user_id - 1000, pk_location from fact_listen_events"))
    assert places[11] == places[12] == places[13]
    titles = {title for (title,) in graph.rows("select title from dim_songs")}
    assert {"\u5149", "\u685c\u6d41\u3057", "Dj Vu", "=1+1"} <= titles


def test_objects_from_outside_have_their_outcomes(make_graph: Callable[..., Graph]) -> None:
    _needs_data()
    graph = make_graph()
    at = datetime(2026, 1, 1, 1, tzinfo=UTC)
    names = {}
    for number, path in enumerate(sorted((DATA / "objects").iterdir())):
        names[path.stem] = ObjectName("listen_events", at, 0, number)
        graph.put_bytes(names[path.stem], path.read_bytes())
    result = graph.defs.resolve_job_def("hourly").execute_in_process(
        instance=graph.instance, tags=span_tags((at, at + HOUR)), raise_on_error=False
    )
    assert result.success, failures(result)
    bad = {name for (name,) in graph.rows("select object_name from lake_objects where error is not null")}
    assert bad == {str(names[stem]) for stem in ("02b-truncated", "02d-plain-text", "02e-html")}
    quarantined = graph.rows("select object_name, reason from stg_quarantine")
    assert quarantined == [(str(names["02f-latin1-byte"]), "no UTF-8")]
    rows = dict(graph.rows("select object_name, row_count from lake_objects where error is null"))
    staged = graph.rows("select sum(copies) from stg_listen_events")[0][0]
    assert staged == sum(rows.values()) - 1
    assert min(rows.values()) >= 3
