"""Lines of people leave objects, however they are written; all else stays as it is; a crash leaves nothing open."""

import gzip
import json
from base64 import b64encode
from pathlib import Path

import pytest

from streaming_assets.events import DEAD_LETTERS
from streaming_assets.ingestion.lines import dead_letter_line
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.forgetting import People, forgotten_offsets, read_people, take_out, write_people
from streaming_assets.lake.names import HOUR, ObjectName, dead_letter_object
from streaming_assets.lake.reading import text_of
from streaming_assets.lake.store import LakeError
from streaming_assets_tests.graph import hour

PEOPLE = People().with_users([7, 30])


class Crash(Exception):
    pass


def put(lake: FolderLake, name: ObjectName, *lines: bytes) -> str:
    lake.write(str(name), gzip.compress(b"\n".join(lines)))
    return str(name)


def text(lake: FolderLake, name: str) -> bytes:
    return text_of(lake.read(name))


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path)


THEIRS = {
    "number": b'{"value":{"userId":7,"ts":1},"offset":5}',
    "spaces": b'{"value": {"userId" : 30 }, "offset": 5}',
    "text": b'{"value":{"userId":"7"},"offset":5}',
    "padded text": b'{"value":{"userId":" 07 "},"offset":5}',
    "fraction": b'{"value":{"userId":7.0},"offset":5}',
    "exponent": b'{"value":{"userId":3e1},"offset":5}',
    "escaped name": b'{"value":{"user\\u0049d":7},"offset":5}',
    "escaped digit": b'{"value":{"userId":"\\u0037"},"offset":5}',
    "malformed": b'{"value":{"userId":7,"artist":"A"},"offset":5,,}',
    "cut short": b'{"offset":5,"value":{"lastName":"L","userId":7,"arti',
    "no UTF-8": b'{"value":{"artist":"\xff","userId":7},"offset":5}',
}
OTHERS = (
    b'{"value":{"userId":70},"offset":6}',
    b'{"value":{"userId":17},"offset":7}',
    b'{"value":{"userId":-7},"offset":8}',
    b'{"value":{"userId":1e400,"sessionId":7},"offset":9}',
    b'{"value":{"userId":null,"itemInSession":7},"offset":7}',
    b'{"value":{"song":"\\"userId\\":7","userId":8},"offset":10}\r',
    b"",
    b"7",
    b'{"value":{"userId":8,"artist":"\\u0041"},"offset":11}',
)


@pytest.mark.parametrize("line", THEIRS.values(), ids=THEIRS)
def test_a_line_of_theirs_goes_and_its_offset_is_explained(lake: FolderLake, line: bytes) -> None:
    name = put(lake, ObjectName("listen_events", hour(0), 2, 5, "e1"), OTHERS[0], line, *OTHERS[1:])
    assert take_out(lake, lake.list("raw/"), PEOPLE) == (1, 1, [])
    assert text(lake, name) == b"\n".join(OTHERS)
    assert forgotten_offsets(lake, "listen_events", hour(0), hour(1)) == {("e1", 2, 5)}
    assert forgotten_offsets(lake, "listen_events", hour(1), hour(2)) == set()
    assert take_out(lake, lake.list("raw/"), PEOPLE) == (0, 0, [])


def test_an_object_without_them_stays_as_it_is(lake: FolderLake) -> None:
    name = put(lake, ObjectName("listen_events", hour(0), 0, 6), *OTHERS)
    before = lake.read(name)
    assert take_out(lake, lake.list("raw/"), PEOPLE) == (0, 0, [])
    assert lake.read(name) == before


def test_dead_letters_are_what_they_hold_and_explain_their_source(lake: FolderLake) -> None:
    def letter(value: bytes, offset: int, reason: str = "not JSON") -> bytes:
        return dead_letter_line(value, reason, "user_info", 3, offset, 0).rstrip(b"\n")

    kept = letter(b'{"userId":8,', 90)
    lines = (letter(b'{"userId":7,', 91), kept, letter(b"?", 92, 'unexpected end of {"userId":7'))
    source = dead_letter_object(DEAD_LETTERS.topic, "user_info", hour(0), 3, 90, "e1")
    name = put(lake, source, *lines)
    connect = ObjectName(DEAD_LETTERS.topic, hour(1), 0, 4)
    put(lake, connect, b'{"value":"%b","offset":4}' % b64encode(b'{"userId":7}'))
    assert take_out(lake, lake.list("raw/"), PEOPLE) == (2, 3, [])
    assert text(lake, name) == kept
    assert text(lake, str(connect)) == b""
    assert forgotten_offsets(lake, "user_info", hour(0), hour(9)) == {("e1", 3, 91), ("e1", 3, 92)}


def test_objects_that_nobody_can_read_are_named_and_the_others_done(lake: FolderLake) -> None:
    bad = ObjectName("listen_events", hour(0), 0, 0)
    lake.write(str(bad), b"no gzip")
    name = put(lake, ObjectName("listen_events", hour(1), 0, 5), THEIRS["number"])
    assert take_out(lake, lake.list("raw/"), PEOPLE) == (
        1,
        1,
        [f"{lake.uri(str(bad))} can't be read: it is no gzip"],
    )
    assert text(lake, name) == b""


def test_what_a_sink_writes_meanwhile_is_kept_without_them(lake: FolderLake) -> None:
    name = ObjectName("listen_events", hour(0), 0, 5)
    put(lake, name, THEIRS["number"])
    listed = list(lake.list("raw/"))
    put(lake, name, THEIRS["number"], OTHERS[0], THEIRS["text"].replace(b'"offset":5', b'"offset":8'))
    assert take_out(lake, listed, PEOPLE)[0] == 1
    assert text(lake, str(name)) == OTHERS[0]
    assert forgotten_offsets(lake, "listen_events", hour(0), hour(1)) == {("", 0, 5), ("", 0, 8)}


@pytest.mark.parametrize("is_removed", [True, False], ids=["removed", "spoilt"])
def test_what_becomes_of_an_object_meanwhile_is_looked_at(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch, is_removed: bool
) -> None:
    name = put(lake, ObjectName("listen_events", hour(0), 0, 5), THEIRS["number"])

    def meddled(*_: object) -> bool:
        (lake.root / name).unlink() if is_removed else lake.write(name, b"no gzip")
        return False

    monkeypatch.setattr(lake, "replace", meddled)
    *_, unreadable = take_out(lake, list(lake.list("raw/")), PEOPLE)
    assert unreadable == ([] if is_removed else [f"{lake.uri(name)} can't be read: it is no gzip"])


def test_a_crash_at_any_write_leaves_lines_whole_and_explained(
    lake: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [
        put(
            lake,
            ObjectName("listen_events", hour(0), 0, n),
            OTHERS[0],
            b'{"value":{"userId":7},"offset":%d}' % n,
        )
        for n in (5, 6)
    ]
    place, left = FolderLake._place, []

    def failing(*arguments) -> None:
        if not left:
            raise Crash
        left.pop()
        place(*arguments)

    monkeypatch.setattr(FolderLake, "_place", failing)
    for writes in range(3):
        left[:] = range(writes)
        with pytest.raises(Crash):
            take_out(lake, lake.list("raw/"), PEOPLE)
        gone = {n for n, name in zip((5, 6), names, strict=True) if b":7}" not in text(lake, name)}
        assert {("", 0, n) for n in gone} <= forgotten_offsets(lake, "listen_events", hour(0), hour(1))
        assert all(OTHERS[0] in text(lake, name) for name in names)
    monkeypatch.undo()
    take_out(lake, lake.list("raw/"), PEOPLE)
    assert [text(lake, name) for name in names] == [OTHERS[0]] * 2


def test_people_are_kept_by_hash_until_they_are_let_in(lake: FolderLake) -> None:
    assert read_people(lake) is None
    write_people(lake, PEOPLE)
    found = read_people(lake)
    assert found is not None
    assert (found.hashes, found.pending) == (PEOPLE.hashes, PEOPLE.hashes)
    assert found.are_of(b'{"userId":7}')
    assert not found.without_users([7]).are_of(b'{"userId":7}')
    assert found.without_users([7]).are_of(b'{"userId":30}')
    assert People().with_users([7]).hashes != People().with_users([7]).hashes, (
        "each lake has a salt of its own"
    )
    told = json.loads(lake.read("forgotten/people.json"))
    assert {7, "7", 30, "30"}.isdisjoint(str(told).replace("'", " ").split())
    lake.write("forgotten/people.json", b"{}")
    with pytest.raises(LakeError, match="is damaged"):
        read_people(lake)


def test_hours_are_bounds_of_what_is_explained(lake: FolderLake) -> None:
    for number in range(3):
        put(
            lake,
            ObjectName("listen_events", hour(number), 0, number),
            b'{"value":{"userId":7},"offset":%d}' % number,
        )
    take_out(lake, lake.list("raw/"), PEOPLE)
    found = forgotten_offsets(lake, "listen_events", hour(1), hour(1) + HOUR)
    assert found == {("", 0, 1)}
