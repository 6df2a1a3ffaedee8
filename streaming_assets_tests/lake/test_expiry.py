"""Expired values leave objects, however the lines are written; all other bytes, and all lines, stay."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.events import BY_TOPIC, DEAD_LETTERS, EventType
from streaming_assets.ingestion.lines import data_line, dead_letter_line
from streaming_assets.lake.expiry import DONE, expire, expired_fields, without_values
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import HOUR, ObjectName, dead_letter_object, floor_hour
from streaming_assets.lake.reading import text_of
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.sealing import commit, prepare
from streaming_assets.lake.store import Lake

NOW = datetime(2025, 3, 20, 12, 30, tzinfo=UTC)
DAYS = 7
OLD = floor_hour(NOW) - timedelta(days=DAYS) - HOUR  # the last hour that is due
TOPIC = "user_info"
NAMES = ("lastName", "firstName")


def kept_for(topic: str, days: int, *names: str) -> EventType:
    """The topic's contract, with some fields kept for so many days."""
    kind = BY_TOPIC[topic]
    fields = (replace(field, retention_days=days) if field.name in names else field for field in kind.fields)
    return replace(kind, fields=tuple(fields))


KINDS = [kept_for(TOPIC, DAYS, *NAMES)]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
EVENTS = st.dictionaries(TEXTS | st.sampled_from([*NAMES, "place"]), VALUES, max_size=5)


def blanked(event: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: None if key in names else value for key, value in event.items()}


@given(EVENTS, st.booleans(), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_the_named_values_are_null_and_all_else_is_as_it_was(
    event: dict[str, Any], is_ascii: bool, separators: tuple[str, str]
) -> None:
    told = {"offset": 5, "value": event}
    line = json.dumps(told, ensure_ascii=is_ascii, separators=separators).encode()
    wanted = json.dumps(
        told | {"value": blanked(event, *NAMES)}, ensure_ascii=is_ascii, separators=separators
    ).encode()
    assert without_values(line, NAMES) == wanted
    assert without_values(wanted, NAMES) == wanted


def test_a_name_with_a_dot_leads_into_an_object_and_no_other_one() -> None:
    line = b'{"value":{"user":{"name":"Ada" , "id":1.50},"name":"a song","list":[{"user":{"name":"B"}}]},"offset":5}'
    assert without_values(line, ["user.name"]) == line.replace(b'"Ada"', b"null")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b'{"value":{"lastName":"L","artist":"A"},"offset":5,,}', b'{"offset":5,"withheld'),
        (b'{"value":{"lastName":"L', b'{"withheld'),
        (b'{"value":"lastName L","offset":5}', b'{"value":null,"offset":5}'),
        (b'{"value":{"lastName":"\xff"},"offset":5}', b'{"offset":5,"withheld'),
        (b'{"value":{"lastName":["L",{"a":1}],"lastName":"M"}}', b'{"value":{"lastName":null,"lastName":null}}'),
        (b'{"value":{"last\\u004eame":"L"},"offset":5}', b'{"value":{"last\\u004eame":null},"offset":5}'),
        (b'["lastName"]', b'{"withheld'),
        (b"", b""),
        (b"\r", b"\r"),
    ],
    ids=["malformed", "cut short", "no object", "no UTF-8", "twice", "escaped", "an array", "empty", "blank"],
)  # fmt: skip
def test_what_can_not_be_told_apart_is_withheld_and_its_line_stays(line: bytes, wanted: bytes) -> None:
    assert without_values(line, NAMES) == wanted
    assert without_values(wanted, NAMES) == wanted


def put(lake: Lake, name: ObjectName, *lines: bytes) -> str:
    lake.write(str(name), gzip.compress(b"".join(lines)))
    return str(name)


def texts(lake: Lake) -> dict[str, bytes]:
    return {found.name: text_of(lake.read(found.name)) for found in lake.list("raw/")}


def test_hours_expire_one_by_one_and_are_looked_at_once(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)
    ada = data_line(b'{"userId":7,"lastName":"L","gender":"F"}', 5, 0)
    bare = ada.replace(b'"L"', b"null")
    old, young, other = (
        put(lake, ObjectName(topic, hour, 0, 5), ada)
        for topic, hour in ((TOPIC, OLD), (TOPIC, OLD + HOUR), ("auth_events", OLD))
    )
    assert expired_fields(KINDS[0], OLD, NOW) == [f.name for f in KINDS[0].fields if f.name in NAMES]
    assert expired_fields(KINDS[0], OLD + HOUR, NOW) == []
    assert expire(lake, NOW, KINDS) == (1, [])
    assert texts(lake) == {old: bare, young: ada, other: ada}
    lake.write(old, b"nobody looks at it again")
    assert expire(lake, NOW, KINDS) == (0, [])
    assert expire(lake, NOW + HOUR, KINDS) == (1, [])
    lake.write(old, gzip.compress(bare))
    assert texts(lake) == {old: bare, young: bare, other: ada}
    assert expire(lake, NOW, [BY_TOPIC[TOPIC]]) == (0, []), "no contract asks for it"


def test_a_sealed_hour_is_made_anew_without_them(tmp_path: Path) -> None:
    lake = SealedLake(FolderLake(tmp_path))
    ada, bob = (data_line(b'{"lastName":"%b"}' % name, number, 0) for number, name in ((5, b"L"), (6, b"M")))
    names = [put(lake, ObjectName(TOPIC, OLD, 0, 5 + number), line) for number, line in enumerate((ada, bob))]

    def seal() -> None:
        prepared = prepare(lake, TOPIC, OLD)
        assert prepared is not None
        commit(lake, prepared, lambda _: None)

    seal()
    assert expire(lake, NOW, KINDS) == (2, [])
    bare = [line.replace(name, b"null") for line, name in ((ada.rstrip(), b'"L"'), (bob.rstrip(), b'"M"'))]
    assert texts(lake) == dict(zip(names, bare, strict=True))
    seal()
    assert texts(lake) == dict(zip(names, bare, strict=True))
    files = [pq.read_table(path).to_pylist() for path in (tmp_path / "sealed").rglob("*.parquet")]
    assert [[row["line"].encode() for row in rows] for rows in files] == [bare]


def test_a_field_that_comes_to_be_kept_for_less_is_looked_for_anew(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)
    name = put(lake, ObjectName(TOPIC, OLD, 0, 5), data_line(b'{"lastName":"L","gender":"F"}', 5, 0))
    assert expire(lake, NOW, KINDS) == (1, [])
    assert expire(lake, NOW, [kept_for(TOPIC, DAYS, *NAMES, "gender")]) == (1, [])
    assert texts(lake) == {name: data_line(b'{"lastName":null,"gender":null}', 5, 0)}


def test_dead_letters_lose_bytes_and_words_and_keep_where_they_came_from(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)
    letter = dead_letter_line(b'{"lastName":"L"', "not JSON: Lovelace", TOPIC, 3, 91, 0)
    other = dead_letter_line(b'{"lastName":"L"', "not JSON: Lovelace", "auth_events", 3, 92, 0)
    theirs = put(lake, dead_letter_object(DEAD_LETTERS.topic, TOPIC, OLD, 3, 91, None), letter)
    kept = put(lake, dead_letter_object(DEAD_LETTERS.topic, "auth_events", OLD, 3, 92, None), other)
    connects = put(lake, ObjectName(DEAD_LETTERS.topic, OLD, 0, 4), letter, other)
    assert expire(lake, NOW, KINDS) == (2, [])
    left = texts(lake)
    bare = json.loads(left[theirs])
    told = {one["key"].rpartition(".")[2]: one["value"] for one in bare["headers"]}
    assert (bare["value"], bare["offset"]) == ("", 91)
    assert told == {"topic": TOPIC, "partition": "3", "offset": "91"}
    assert left == {theirs: left[theirs], kept: other, connects: left[theirs] + other}
    (tmp_path / DONE).unlink()
    assert expire(lake, NOW, KINDS) == (0, [])


def test_an_object_that_nobody_can_read_is_named_until_it_is_gone(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)
    name = str(ObjectName(TOPIC, OLD, 0, 0))
    lake.write(name, b"no gzip")
    for _ in range(2):
        assert expire(lake, NOW, KINDS) == (0, [f"{lake.uri(name)} can't be read: it is no gzip"])
    (found,) = [one for one in lake.list("raw/") if one.name == name]
    assert lake.remove(name, found.generation)
    assert expire(lake, NOW, KINDS) == (0, [])
    assert expired_fields(KINDS[0], OLD, NOW)
