"""A week of real events, replayed and as Kafka Connect wrote them: both lakes give what plain Python expects."""

import csv
import gzip
import json
import os
import re
import tarfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streaming_assets.assets.serving import bring_up_to_date
from streaming_assets.events import DEFAULT_TOPICS
from streaming_assets.lake.names import floor_hour, parse_object
from streaming_assets.published.asking import Analyst
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets.testing.publishing import tables
from streaming_assets_tests.properties.machine import assert_equal, project_executor, rows_of
from streaming_assets_tests.properties.reference import expected_tables
from streaming_assets_tests.properties.world import World, take_stock, whole_span

DATA = Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
COORDINATES = {"stream_epoch", "kafka_partition", "kafka_offset", "copies"}
SAME = ("stg_listen_events", "stg_page_view_events", "stg_status_change_events", "stg_users")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (DATA / "eventsim_sample").is_dir(),
        reason=f"no sample of real events in {DATA}: eventsim_sample/",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def replayed(folder: Path) -> tuple[World, MemoryWarehouse]:
    world = World(folder / "replayed")
    for topic in DEFAULT_TOPICS:
        by_hour = defaultdict(list)
        with gzip.open(DATA / "eventsim_sample" / f"{topic}.json.gz", "rt", newline="\n") as lines:
            for event in map(json.loads, lines):
                by_hour[floor_hour(datetime.fromtimestamp(event["ts"] / 1000, UTC))].append(event)
        for hour, events in sorted(by_hour.items()):
            world.append(topic, hour, events, "replay", 0, grow=False)
    return _materialised(world)


@pytest.fixture(scope="module")
def connected(folder: Path) -> tuple[World, MemoryWarehouse]:
    world = World(folder / "connected")
    with tarfile.open(DATA / "aiven_sink_objects.tar.gz") as archive:
        for member in archive:
            name = parse_object(member.name)
            if name is not None and (content := archive.extractfile(member)):
                world.put(name, gzip.decompress(content.read()).decode().split("\n"))
    return _materialised(world)


@pytest.mark.parametrize("lake", ["replayed", "connected"])
def test_warehouse_is_what_plain_python_expects(lake: str, request: pytest.FixtureRequest) -> None:
    world, warehouse = request.getfixturevalue(lake)
    expected = expected_tables(world.lines(), world.songs, world.locations)
    assert_equal(rows_of(warehouse, expected), rows_of(None, expected), "plain Python")
    assert len(expected["fact_listen_events"]) == 13_456, "every listen of the sample"


def test_both_lakes_give_the_same(
    replayed: tuple[World, MemoryWarehouse], connected: tuple[World, MemoryWarehouse]
) -> None:
    tables = [f"select * exclude ({', '.join(COORDINATES)}) from {table}" for table in SAME] + [
        "select * from fact_listen_events",
        "select * from fact_session_events",
        "select * from dim_users",
    ]
    for query in tables:
        found, wanted = (sorted(warehouse.rows(query), key=repr) for _, warehouse in (connected, replayed))
        assert found == wanted, query


def _materialised(world: World) -> tuple[World, MemoryWarehouse]:
    with gzip.open(DATA / "listen_counts.txt.gz", "rt", newline="\n") as lines:
        songs = [
            (track, artist, title, float(duration), None)
            for track, artist, title, duration, *_ in _fields(lines)
        ]
    with open(DATA / "US.txt", newline="\n") as lines:
        places = [tuple(value or None for value in fields[:5]) for fields in _fields(lines)]
    world.write_reference(songs, places)
    warehouse = MemoryWarehouse()
    take_stock(world, warehouse, whole_span(world))
    project_executor().run(warehouse, whole_span(world))
    return world, warehouse


def _fields(lines):
    return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def test_each_question_of_the_document_is_answered(
    replayed: tuple[World, MemoryWarehouse], tmp_path: Path
) -> None:
    """Of what is published, as `streaming-assets sql` asks it; facts and dimensions are published as they are."""
    _, warehouse = replayed
    published = bring_up_to_date(tmp_path, list(tables().values()), warehouse)
    assert (published.refused, published.findings) == ([], [])
    document = (PROJECT_ROOT / "docs" / "questions.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", document, re.DOTALL)
    assert len(queries) == len(re.findall(r"^## \d+\. ", document, re.MULTILINE)) > 5
    with Analyst.reading(tmp_path, timeout=60) as analyst:
        for query in queries:
            with analyst.asked(*analyst.queries(query)) as answer:
                assert answer.fetchone(), query
        for name in tables():
            counted = f"select count(*) from {name}"
            with analyst.asked(counted) as answer:
                assert answer.fetchone() == warehouse.rows(counted)[0] > (0,), name
