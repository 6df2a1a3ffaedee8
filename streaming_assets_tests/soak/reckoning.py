"""What was acknowledged against what is in lake, tables and snapshot: row for row."""

import gzip
import io
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow.parquet as pq

from streaming_assets.ingestion.lines import data_line, fault
from streaming_assets.lake.names import LOCATIONS, SONGS, dead_letter_source, floor_hour, parse_object
from streaming_assets.lake.store import Lake
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.published.tables import for_file
from streaming_assets.settings import Settings
from streaming_assets.testing.publishing import tables
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.properties.machine import BOOKKEEPING
from streaming_assets_tests.properties.reference import expected_tables
from streaming_assets_tests.properties.reference_staging import Line
from streaming_assets_tests.soak.traffic import Sent

SHOWN = 10
FACTS = ("fact_listen_events", "fact_session_events")
# The name of an object tells how a sink cut its work, which kills decide.
UNCOMPARED = {**BOOKKEEPING, "stg_quarantine": {"object_name"}}

Coordinates = tuple[str, str | None, int, int]  # topic, stream_epoch, partition, offset


@dataclass
class Reckoning:
    """What was found; `differences` holds a line for each row that is missing or too many, by where.

    Attributes:
        acknowledged: events that Kafka acknowledged, faulty ones and repeats included.
        died: acknowledged events that are not in the lake, by stream_epoch of the embedded broker.
        kept: events in the lake that the broker took but died before it could say so.
        rows: rows of each table.
    """

    acknowledged: int
    faulty: int
    died: Counter[str | None] = field(default_factory=Counter)
    kept: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def reckon(record: Iterable[Sent], settings: Settings, lake: Lake, warehouse: DuckDbWarehouse) -> Reckoning:
    """Hold lake, tables and snapshot to the producer's record.

    On a durable broker all of the record must be there. Of an embedded one's, what is not in the lake is counted as
    died, and belongs to a stream epoch that is over; the tables must hold all the rest.
    """
    acknowledged: dict[Coordinates, Sent] = {}
    unsettled: Counter[tuple[str | None, str, str]] = Counter()
    for sent in record:
        if sent.partition is None or sent.offset is None:
            unsettled[sent.stream_epoch, sent.topic, sent.value] += 1
        else:
            acknowledged[sent.topic, sent.stream_epoch, sent.partition, sent.offset] = sent
    result = Reckoning(len(acknowledged), sum(_is_faulty(sent) for sent in acknowledged.values()))
    in_lake = dict(rows_in_lake(lake))
    alive = json.loads((settings.home / "sink.json").read_text())["stream_epoch"]
    kept: dict[Coordinates, Sent] = {}
    for where, sent in acknowledged.items():
        if where in in_lake:
            kept[where] = in_lake[where]
        elif sent.stream_epoch not in (None, alive):
            result.died[sent.stream_epoch] += 1
        else:
            result.differences.append(f"lake - {where} {sent.value}")
    for where, found in in_lake.items():
        if where not in acknowledged and unsettled[found.stream_epoch, found.topic, found.value] > 0:
            unsettled[found.stream_epoch, found.topic, found.value] -= 1
            kept[where] = found
            result.kept += 1
        elif where not in acknowledged:
            result.differences.append(f"lake + {where} {found.value}")
        elif acknowledged[where] not in (found, replace(found, ms=None)):
            result.differences.append(f"lake: {where} is {found}, sent as {acknowledged[where]}")
    result.differences += _table_differences(kept, lake, warehouse, result)
    result.differences += _snapshot_differences(settings, warehouse)
    return result


def _is_faulty(sent: Sent) -> bool:
    return fault(sent.value.encode()) is not None


def rows_in_lake(lake: Lake) -> Iterator[tuple[Coordinates, Sent]]:
    """Each row of the lake's objects as it was sent, dead letters by the coordinates of their source."""
    for entry in lake.list("raw/"):
        name = parse_object(entry.name)
        if name is None:
            continue
        dead = dead_letter_source(name) if name.topic == "connect_sink_gcs" else None
        topic, stream_epoch = dead or (name.topic, name.stream_epoch)
        for text in gzip.decompress(lake.read(entry.name)).split(b"\n"):
            if text:
                yield _row(text, topic, stream_epoch, name.partition, is_dead=dead is not None)


def _row(
    text: bytes, topic: str, stream_epoch: str | None, partition: int, is_dead: bool
) -> tuple[Coordinates, Sent]:
    line = json.loads(text)
    ms = round(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000)
    if is_dead:
        value = b64decode(line["value"]).decode()
    else:  # the very bytes, which stand between two texts that are known
        value = text[len(b'{"value":') : text.rindex(b',"offset":')].decode()
    offset = line["offset"]
    return (topic, stream_epoch, partition, offset), Sent(stream_epoch, topic, value, partition, offset, ms)


def _table_differences(
    kept: Mapping[Coordinates, Sent], lake: Lake, warehouse: DuckDbWarehouse, result: Reckoning
) -> Iterator[str]:
    """Every staging table, dimension, fact and mart against plain Python's."""
    songs, locations = (_parquet(lake, file) for file in (SONGS, LOCATIONS))
    good = {where: sent for where, sent in kept.items() if not _is_faulty(sent)}
    expected = expected_tables((_line(sent) for sent in good.values()), songs, locations)
    faulty = [(*where, sent.value) for where, sent in kept.items() if where not in good]
    with warehouse.connect() as connection:
        for table, rows in expected.items():
            where = " where dead_letter_offset is null" if table == "stg_quarantine" else ""
            found = connection.execute(f"select * from {table}{where}")
            names = [column[0] for column in found.description or []]
            have = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            result.rows[table] = len(have)
            yield from _differences(table, _multiset(table, have), _multiset(table, rows))
        letters = connection.execute(
            "select topic, stream_epoch, kafka_partition, kafka_offset, raw_text from stg_quarantine"
            " where dead_letter_offset is not null"
        ).fetchall()
        result.rows["stg_quarantine"] += len(letters)
        yield from _differences("dead letters", Counter(letters), Counter(faulty))


def _line(sent: Sent) -> Line:
    assert sent.ms is not None
    assert sent.offset is not None
    assert sent.partition is not None
    hour = naive(floor_hour(datetime.fromtimestamp(sent.ms / 1000, UTC)))
    text = data_line(sent.value.encode(), sent.offset, sent.ms).decode().rstrip("\n")
    return Line(sent.topic, hour, "", sent.partition, sent.stream_epoch, text)


def _multiset(table: str, rows: Iterable[Mapping[str, Any]]) -> Counter[tuple]:
    skipped = UNCOMPARED.get(table, set())
    return Counter(
        tuple(sorted((name, value) for name, value in row.items() if name not in skipped)) for row in rows
    )


def _differences(what: str, found: Counter[tuple], wanted: Counter[tuple]) -> Iterator[str]:
    for sign, rows in (("-", wanted - found), ("+", found - wanted)):
        for row, count in rows.items():
            yield f"{what} {sign} {row} x {count}"


def _snapshot_differences(settings: Settings, warehouse: DuckDbWarehouse) -> Iterator[str]:
    """The published days of each table against the marts, as their files would be written now."""
    snapshot = Snapshot.open(settings.published_dir)
    with warehouse.connect() as connection:
        for table, published in tables().items():
            of_day = f"cast({published.day_column} as date)" if published.day_column else "null"
            days: list[date | None] = [
                day
                for (day,) in connection.execute(
                    f"select distinct {of_day} from {table} order by 1"
                ).fetchall()
            ]
            held = snapshot.manifest.tables[table]
            files = {day: file for day, file in {None: held.whole, **held.days}.items() if file}
            if days != list(files):
                yield f"snapshot of {table} has {list(files)}, the warehouse {days}"
                continue
            for day, file in files.items():
                rows = connection.execute(
                    f"select * from {table} where {of_day} is not distinct from ?", [day]
                )
                wanted = for_file(published, day, rows.to_arrow_table()).to_pylist()
                have = pq.read_table(snapshot.folder / file.file).to_pylist()
                yield from _differences(
                    f"snapshot of {table}", _multiset(table, have), _multiset(table, wanted)
                )


def _parquet(lake: Lake, file: str) -> list[dict[str, Any]]:
    return pq.read_table(io.BytesIO(lake.read(file))).to_pylist()
