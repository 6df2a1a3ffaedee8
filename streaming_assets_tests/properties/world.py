"""A small lake in a folder, and the way in which objects come into it: added, grown, split, delivered twice.

An hour's objects only gain rows or pass them among themselves: that a row never leaves its hour is the lake's contract.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.events import EVENT_TYPES, LAKE_TOPICS
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.inventory import list_topics, read_rows
from streaming_assets.lake.names import HOUR, LOCATIONS, SONGS, ObjectName
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.sealing import commit, prepare
from streaming_assets.partitions import Span
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.lake.sealed_contract import Dying, Killed
from streaming_assets_tests.properties.reference_staging import Line, Row

SONG_COLUMNS = ("track_id", "artist", "title", "duration", "genre")
LOCATION_COLUMNS = ("country_code", "postal_code", "city", "state", "state_code")


class World:
    """A lake and what is known of it; times are timezone-aware UTC hours."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.lake = SealedLake(FolderLake(folder))
        self.objects: dict[ObjectName, list[str]] = {}
        self._next_offset: dict[tuple[str, str | None, int], int] = defaultdict(int)
        self.write_reference([], [])

    @property
    def hours(self) -> list[datetime]:
        """The hours that hold objects, in order."""
        return sorted({name.hour for name in self.objects})

    def lines(self) -> Iterator[Line]:
        """Every line of every object."""
        for name, texts in self.objects.items():
            for text in texts:
                yield Line(name.topic, naive(name.hour), str(name), name.partition, name.stream_epoch, text)

    def append(
        self,
        topic: str,
        hour: datetime,
        values: list[Any],
        stream_epoch: str | None,
        partition: int,
        grow: bool,
    ) -> None:
        """Give events (or whole lines, as text) the next offsets, in a new object or at the end of an old one."""
        key = (topic, stream_epoch, partition)
        first = self._next_offset[key]
        texts = [_line(value, first + index) for index, value in enumerate(values)]
        self._next_offset[key] += len(texts)
        name = ObjectName(topic, hour, partition, first, stream_epoch)
        if grow:
            name = next((known for known in self.objects if _source(known) == _source(name)), name)
        self.put(name, self.objects.get(name, []) + texts)

    def skip_offset(self, topic: str, stream_epoch: str | None, partition: int) -> None:
        """Leave a gap, as a row does that the sink could not write."""
        self._next_offset[topic, stream_epoch, partition] += 1

    def redeliver(self, name: ObjectName, row: int, hour: datetime) -> None:
        """Deliver a row once more under its own offset: in another object of its stream epoch and partition."""
        start = row
        while (
            copy := ObjectName(name.topic, hour, name.partition, start, name.stream_epoch)
        ) in self.objects:
            start += 1
        self.put(copy, [self.objects[name][row]])

    def split(self, name: ObjectName, row: int) -> None:
        """Move an object's rows from `row` on into an object of their own in the same hour."""
        texts = self.objects[name]
        self.redeliver(name, row, name.hour)
        moved = next(reversed(self.objects))
        self.put(moved, texts[row:])
        self.put(name, texts[:row])

    def write_reference(self, songs: list[tuple], locations: list[tuple]) -> None:
        """Replace the reference files."""
        self.songs: list[Row] = [dict(zip(SONG_COLUMNS, row, strict=True)) for row in songs]
        self.locations: list[Row] = [dict(zip(LOCATION_COLUMNS, row, strict=True)) for row in locations]
        for file, rows, columns in ((SONGS, songs, SONG_COLUMNS), (LOCATIONS, locations, LOCATION_COLUMNS)):
            schema = pa.schema(
                [(name, pa.float64() if name == "duration" else pa.string()) for name in columns]
                + [("is_retired", pa.bool_())]
            )
            path = self.root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            values = [dict(zip(columns, row, strict=True)) | {"is_retired": False} for row in rows]
            pq.write_table(pa.Table.from_pylist(values, schema=schema), path)

    def put(self, name: ObjectName, texts: list[str]) -> None:
        """Write an object of these lines."""
        # Without a newline after the last line, as the sink writes.
        self.put_bytes(name, gzip.compress("\n".join(texts).encode(), 1))
        self.objects[name] = texts

    def put_bytes(self, name: ObjectName, data: bytes) -> None:
        """Write an object of these bytes, without the sync that a real lake's writer does."""
        self.objects[name] = []
        path = self.root / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def take_stock(world: World, warehouse: DuckDbWarehouse, span: Span) -> None:
    """What a run does before dbt: list and count the objects of its hours, and look at the reference files."""
    for table, file in (("songs_ext", SONGS), ("locations_ext", LOCATIONS)):
        warehouse.create_reference_table(table, world.lake, file, print)
    warehouse.prepare()
    objects = list_topics(world.lake, LAKE_TOPICS, *span).objects
    warehouse.record_objects(
        span, read_rows(world.lake, objects, warehouse.known_rows(span), warehouse.lines_folder)
    )


def seal(world: World, warehouse: DuckDbWarehouse, hour: datetime, changes: int | None = None) -> None:
    """Seal an hour of all topics; with `changes` it is killed after as many changes of the lake."""
    lake = world.lake if changes is None else SealedLake(Dying(world.lake.stored, changes))
    warehouse.prepare()
    for kind in EVENT_TYPES:
        try:
            if prepared := prepare(lake, kind.topic, hour):
                commit(lake, prepared, warehouse.note_sealed)
        except Killed:
            return


def whole_span(world: World) -> Span:
    """All hours from the first with objects to the last."""
    return world.hours[0], world.hours[-1] + HOUR


def _line(value: Any, offset: int) -> str:
    if isinstance(value, str):
        return value
    return json.dumps({"value": value, "offset": offset, "timestamp": "2025-03-30T00:00:00.000Z"})


def _source(name: ObjectName) -> tuple:
    return (name.topic, name.hour, name.partition, name.stream_epoch)
