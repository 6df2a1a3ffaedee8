"""A line gets the same verdict on BigQuery as on DuckDB, whatever it holds.

Lines are drawn, and those of STREAMING_ASSETS_TEST_DATA/bad_input are among them. Left out is what BigQuery's reader
of text turns into something else before a model sees it (docs/deploy-gcp.md): bytes that are no UTF-8, and lines that
a lone carriage return cuts in two. So are numbers that a double holds in another way than they are written: in a text
field the two spell these differently.
"""

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

from streaming_assets.events import BY_TOPIC, LAKE_TYPES
from streaming_assets.lake.names import ObjectName
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA, naive
from streaming_assets_tests.bigquery.project import BigQueryProject
from streaming_assets_tests.bigquery.site import LAKE, shown
from streaming_assets_tests.properties.fuzz import expected_lines, objects
from streaming_assets_tests.properties.machine import project_executor
from streaming_assets_tests.properties.reference_staging import CONTRACTS
from streaming_assets_tests.properties.site import START, START_MS
from streaming_assets_tests.properties.world import World, take_stock, whole_span
from streaming_assets_tests.simulator.reference import DATA

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("googlesql"), pytest.mark.timeout(600)]

OBJECTS = int(os.environ.get("FUZZ_OBJECTS", "120"))  # some 5 lines each
SEED = int(os.environ.get("FUZZ_SEED", "2"))
OUTSIDE = DATA / "bad_input" / "values.jsonl"
OUTSIDE_MS = 1_767_225_600_000  # the hour that its times are of
_SPELT_OTHERWISE = re.compile(r"\d{20}|[.]\d{15}|\d[eE]")


def test_every_line_is_judged_as_on_duckdb(tmp_path: Path) -> None:
    world, external = World(tmp_path / "lake"), {str(kind.external_table): [] for kind in LAKE_TYPES}
    for name, data in [*objects(Random(SEED), OBJECTS).items(), *from_outside()]:
        lines = expected_lines(name, data)
        if lines is None or any(line.fault or _SPELT_OTHERWISE.search(line.text) for line in lines):
            continue
        if any("\r" in line.text.rstrip("\r") for line in lines):
            continue
        world.put_bytes(name, data)
        where = {"date": naive(name.hour), "_file_name": f"{LAKE}/{name}"}
        external[str(BY_TOPIC[name.topic].external_table)] += [
            shown(line.text.rstrip("\r")) | where for line in lines
        ]
    span, duckdb = whole_span(world), MemoryWarehouse()
    take_stock(world, duckdb, span)
    base = [name for name in project_executor().models if name.startswith("base_")]
    assert base == project_executor().models[: len(base)]
    project_executor().run(duckdb, span, models=len(base))
    inventory = [
        dict(zip(INVENTORY_SCHEMA.names, row, strict=True))
        for row in duckdb.rows(f"select {', '.join(INVENTORY_SCHEMA.names)} from lake_objects")
    ]
    bigquery = BigQueryProject(tmp_path / "home")
    rows = external | {"songs_ext": [], "locations_ext": []}
    bigquery.fill(rows, [row | {"uri": f"{LAKE}/{row['object_name']}"} for row in inventory])
    bigquery.build_base_models(span)

    reasons = set()
    for topic in CONTRACTS:
        columns, found = bigquery.rows(f"base_{topic}")
        wanted = duckdb.rows(f"select {', '.join(columns)} from base_{topic}")
        assert _without_ends(columns, found) == _without_ends(columns, wanted), topic
        reasons |= {str(reason).split()[0] for reason in (row[columns.index("reason")] for row in found)}
    assert {"malformed", "value", "missing", "mistyped", "impossible", "ts", "None"} <= reasons


def from_outside() -> Iterator[tuple[ObjectName, bytes]]:
    """The values that came from outside, as an object of the first hour; none where they are not."""
    if not OUTSIDE.exists():
        return
    lines = []
    for offset, text in enumerate(OUTSIDE.read_text().splitlines()):
        event = json.loads(text)
        event["ts"] -= OUTSIDE_MS - START_MS if event["ts"] >= OUTSIDE_MS else 0
        lines.append(json.dumps({"value": event, "offset": offset}, ensure_ascii=False))
    yield (
        ObjectName("listen_events", START, 0, 0, "outside"),
        gzip.compress("\n".join(lines).encode(), mtime=0),
    )


def _without_ends(columns: list[str], rows: list[tuple[Any, ...]]) -> Counter:
    """Rows, of texts only those in quarantine, without the carriage return that ends a line on Windows."""
    disposition = columns.index("disposition")
    plain = []
    for row in rows:
        values = dict(zip(columns, row, strict=True))
        text = str(values["raw_text"]).rstrip("\r") if row[disposition] == "quarantined" else None
        values["raw_text"] = text
        plain.append(tuple(_moment(value) for value in values.values()))
    return Counter(plain)


def _moment(value: Any) -> Any:
    return (
        value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value
    )
