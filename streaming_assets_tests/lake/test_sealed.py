"""Sealed hours in a folder, and which hours are due."""

import gzip
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from streaming_assets.automation.sealing import Held, due
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import HOUR, ObjectName
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.sealing import prepare
from streaming_assets_tests.graph import hour
from streaming_assets_tests.lake.sealed_contract import FOLDER, LINES, PLAIN, TOPIC, SealedContract, seal


@pytest.fixture
def lake(tmp_path: Path) -> SealedLake:
    return SealedLake(FolderLake(tmp_path))


class TestSealedFolder(SealedContract):
    pass


def test_an_hour_of_one_object_stays_as_it_is(lake: SealedLake) -> None:
    lake.write(str(PLAIN[0]), gzip.compress(LINES[0]))
    assert prepare(lake, TOPIC, hour(0)) is None


def test_an_hour_that_is_sealed_while_its_folder_is_read_is_there(
    lake: SealedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PLAIN:
        lake.write(str(name), gzip.compress(LINES[0]))
    scandir, times = os.scandir, []

    def sealed_before_the_names_are_read(folder: Path) -> object:
        if str(folder).endswith(FOLDER.rstrip("/")) and not times:
            times.append(folder)
            with scandir(folder) as scan:
                entries = [*scan]  # as they are given out later
            seal(lake)
            for entry in entries:
                assert not os.path.exists(entry.path)
            os.rename(f"{folder}/sealed.gz", f"{folder}/hidden")
            try:
                return scandir(folder)
            finally:
                os.rename(f"{folder}/hidden", f"{folder}/sealed.gz")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", sealed_before_the_names_are_read)
    assert [found.name for found in lake.list("raw/")] == [*map(str, PLAIN)]


ROW = InventoryRow(ObjectName(TOPIC, hour(0), 0, 0), "", 10, 1)
HELD = Held(10, 1, is_plain=True)


@pytest.mark.parametrize(
    ("what", "first", "held", "wanted"),
    [
        ("as the tables hold it", ROW, HELD, True),
        ("never taken in", ROW, None, False),
        ("written anew since", replace(ROW, generation=2), HELD, False),
        ("grown since", replace(ROW, size=11), HELD, False),
        ("not to be looked at", replace(ROW, error="no permission"), HELD, False),
        ("odd, beside too few others", ROW, replace(HELD, is_plain=False), False),
    ],
)
def test_an_hour_is_due_once_the_tables_hold_it_as_it_lies_there(
    what: str, first: InventoryRow, held: Held | None, wanted: bool
) -> None:
    second = replace(ROW, name=ObjectName(TOPIC, hour(0), 1, 0))
    known = {str(second.name): HELD} | ({str(ROW.name): held} if held else {})
    key = (TOPIC, hour(0))
    assert due({key: [first, second]}, [], known, hour(0) + HOUR) == [key] * wanted, what
    assert due({key: [first, second]}, [], known, hour(0) + HOUR - timedelta(seconds=1)) == [], "too young"


def test_a_sealed_hour_is_due_again_for_one_object() -> None:
    key = (TOPIC, hour(0))
    assert due({key: [ROW]}, [], {str(ROW.name): HELD}, hour(2)) == []
    assert due({key: [ROW]}, [key], {str(ROW.name): HELD}, hour(2)) == [key]
