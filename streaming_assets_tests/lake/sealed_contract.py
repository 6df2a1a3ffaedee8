"""What sealing must leave as it was, in every lake; run on a folder and on a bucket."""

import gzip
from dataclasses import replace
from typing import Any

import pytest

from streaming_assets.lake.inventory import InventoryRow, list_hours, read_rows
from streaming_assets.lake.names import HOUR, MANIFEST, ObjectName, hour_prefix
from streaming_assets.lake.reading import ObjectUnreadable, text_of
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.sealing import commit, prepare, superseded
from streaming_assets.lake.store import Lake, LakeError, LakeObject
from streaming_assets_tests.graph import hour

TOPIC = "listen_events"
FOLDER = hour_prefix(TOPIC, hour(0))
PLAIN = [ObjectName(TOPIC, hour(0), 0, 10 * number, epoch) for number, epoch in enumerate((None, "b", None))]
LINES = [b'{"value": {"song": "S%d \xe2\x80\xa8"}, "offset": %d}' % (n, n) for n in range(6)]
ODD = {
    "no gzip": b"<html>",
    "cut short": gzip.compress(b'{"value": {}}')[:-9],
    "malformed": gzip.compress(LINES[0] + b'\n{"value": {},,}'),
    "no UTF-8": gzip.compress(b'{"value": {"song": "\xff"}}'),
    "blank line": gzip.compress(LINES[0] + b"\n\n" + LINES[1]),
    "a value that is no object": gzip.compress(b'{"value": 5, "offset": 1}'),
    "too long": gzip.compress(b'{"value": {"song": "' + b"x" * 17 * 2**20 + b'"}}'),
}


class Killed(Exception):
    """What stops a sealing half way."""


class Dying:
    """A lake that changes nothing any more after so many changes: whoever writes is killed there."""

    def __init__(self, lake: Lake, changes: int) -> None:
        self._lake, self._left = lake, changes

    def __getattr__(self, name: str) -> Any:
        if name in ("write", "write_if_absent", "replace", "remove"):
            if not self._left:
                raise Killed
            self._left -= 1
        return getattr(self._lake, name)


def seal(lake: SealedLake) -> list[InventoryRow]:
    """Seal the hour; what the warehouse was told."""
    noted: list[InventoryRow] = []
    if prepared := prepare(lake, TOPIC, hour(0)):
        commit(lake, prepared, noted.extend)
    return noted


def as_told(lake: SealedLake) -> tuple[list[LakeObject], list[bytes | str]]:
    """What a reader finds: the listing, and the text of each object."""
    listed = [*lake.list("raw/")]
    return [replace(found, sealed=None) for found in listed], [text(lake, found.name) for found in listed]


def text(lake: Lake, name: str) -> bytes | str:
    try:
        return text_of(lake.read(name)).removesuffix(b"\n")
    except ObjectUnreadable as error:
        return str(error)


def lying(lake: SealedLake) -> list[str]:
    """Names of all that lies in the lake."""
    return [found.name for prefix in ("raw/", "sealed/") for found in lake.stored.list(prefix)]


class SealedContract:
    """Subclasses give the fixture `lake`: an empty one."""

    @pytest.fixture
    def filled(self, lake: SealedLake) -> SealedLake:
        for number, name in enumerate(PLAIN):
            end = b"\n" * (number == 1)
            lake.write(str(name), gzip.compress(b"\n".join(LINES[2 * number : 2 * number + 2]) + end))
        return lake

    @pytest.fixture
    def odd(self, filled: SealedLake) -> list[str]:
        names = [str(ObjectName(TOPIC, hour(0), 1, number)) for number in range(len(ODD))]
        for name, data in zip(names, ODD.values(), strict=True):
            filled.write(name, data)
        return names

    def test_readers_find_what_was_there_and_odd_objects_stay(
        self, filled: SealedLake, odd: list[str]
    ) -> None:
        before = as_told(filled)
        read = [*read_rows(filled, list_hours(filled, TOPIC, hour(0), hour(0) + HOUR).objects, {}, None)]
        noted = seal(filled)
        assert as_told(filled) == before
        assert [str(row.name) for row in noted] == [*map(str, PLAIN)]
        (file,) = {row.sealed.file for row in noted if row.sealed}
        assert lying(filled) == [*odd, FOLDER + MANIFEST, file]
        listing = list_hours(filled, TOPIC, hour(0), hour(0) + HOUR)
        assert listing.strays == []
        again = [*read_rows(filled, listing.objects, {}, None)]
        assert [replace(row, sealed=None, sealed_uri=None) for row in again] == read
        assert seal(filled) == [], "nothing is left to do"

    def test_killed_after_any_change_nothing_is_lost_or_counted_twice(self, filled: SealedLake) -> None:
        before = as_told(filled)
        late = ObjectName(TOPIC, hour(0), 3, 0)
        steps = 0
        for round_ in range(2):  # an hour sealed for the first time, and one that is opened again
            while True:
                try:
                    seal(SealedLake(Dying(filled.stored, steps)))
                    break
                except Killed:
                    assert as_told(filled) == before, f"killed after {steps} changes"
                    steps = steps + 1 if steps < 4 else 1
                assert len(lying(filled)) < 20
            assert len(lying(filled)) == 2
            assert as_told(filled) == before
            if round_ == 0:
                filled.write(str(late), gzip.compress(LINES[0]))
                before, steps = as_told(filled), 0
        assert len(before[0]) == 4

    def test_a_late_object_is_read_beside_and_one_written_anew_in_place_of_what_was_sealed(
        self, filled: SealedLake
    ) -> None:
        seal(filled)
        late, anew = str(ObjectName(TOPIC, hour(0), 0, 5)), str(PLAIN[0])
        filled.write(late, gzip.compress(LINES[5]))
        filled.write(anew, gzip.compress(LINES[0] + b"\n" + LINES[1] + b"\n" + LINES[3]))
        before = as_told(filled)
        assert [found.name for found in before[0]] == [anew, late, *map(str, PLAIN[1:])]
        assert before[1][0] == LINES[0] + b"\n" + LINES[1] + b"\n" + LINES[3]
        assert superseded(filled, TOPIC, hour(0)) == [anew]
        seal(filled)
        assert (len(lying(filled)), superseded(filled, TOPIC, hour(0))) == (2, [])
        assert as_told(filled) == before

    def test_writers_find_sealed_objects_as_if_they_lay_there(self, filled: SealedLake) -> None:
        (found, *_) = filled.list("raw/")
        seal(filled)
        assert filled.write_if_absent(str(PLAIN[0]), b"x") is False
        assert filled.replace(str(PLAIN[0]), b"x", found.generation + 1) is False
        stem = f"{FOLDER}0000000000-"
        assert [o.name for o in filled.list(FOLDER, stem, str(PLAIN[2]))] == [*map(str, PLAIN[:2])]
        assert [o.name for o in filled.list(FOLDER, str(PLAIN[1]))] == [*map(str, PLAIN[1:])]
        left = gzip.compress(LINES[1])
        assert filled.replace(str(PLAIN[0]), left, found.generation) is True
        assert filled.replace(str(PLAIN[0]), left, found.generation) is False
        assert text(filled, str(PLAIN[0])) == LINES[1]

    def test_what_is_damaged_is_named_and_is_its_hours_fault_alone(self, filled: SealedLake) -> None:
        (file,) = {row.sealed.file for row in seal(filled) if row.sealed}
        other = ObjectName(TOPIC, hour(1), 0, 0)
        filled.write(str(other), gzip.compress(LINES[0]))
        filled.stored.write(file, b"PAR1")
        objects = list_hours(filled, TOPIC, hour(0), hour(2)).objects
        errors = [row.error for row in read_rows(filled, objects, {}, None)]
        assert all(error and file in error and "damaged" in error for error in errors[:3])
        assert errors[3:] == [None]
        with pytest.raises(LakeError, match=r"\.parquet, the lines of a sealed hour, is damaged"):
            filled.read(str(PLAIN[0]))
        filled.stored.write(FOLDER + MANIFEST, b"{")
        sound, told = list_hours(filled, TOPIC, hour(0), hour(2)).objects
        assert (told.name.hour, sound.name) == (hour(0), other)
        assert told.error
        assert f"{FOLDER}{MANIFEST} is damaged" in told.error

    def test_removes_only_what_is_still_of_that_generation(self, filled: SealedLake) -> None:
        (found, *_) = filled.list("raw/")
        assert filled.remove(found.name, found.generation) is True
        assert filled.remove(found.name, found.generation) is False
        assert found.name not in lying(filled)
