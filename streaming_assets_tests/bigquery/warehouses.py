"""BigQuery's rows beside DuckDB's: both build the models from what the site brings in each phase."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from streaming_assets.partitions import Span
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA
from streaming_assets_tests.bigquery.site import JUNK, LAKE, Site
from streaming_assets_tests.properties.machine import project_executor
from streaming_assets_tests.properties.world import take_stock

# How a later run of all models changes tables: how many times each succession of statements occurs.
CHANGES = {
    "merge": 12,  # eight staging tables and four marts
    "begin delete insert commit": 6,  # three dimensions and three facts
    "begin insert commit": 1,  # pages are only added
    "begin": 7,
    "delete": 6,
    "update": 2,  # both facts are keyed anew
}


class Project(Protocol):
    """The dbt project on something that stands for BigQuery."""

    def fill(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], objects: Sequence[Mapping[str, Any]]
    ) -> None: ...

    def build(self, span: Span) -> None: ...

    def rows(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]: ...


class Both:
    """The two warehouses after the phases so far; rows of each model by phase."""

    def __init__(self, folder: Path, bigquery: Project, junk: list[str] = JUNK) -> None:
        self.site = Site(folder / "lake", junk)
        self.models = [name for name in project_executor().models if not name.startswith(("base_", "int_"))]
        self.rows: list[dict[str, tuple[Counter, Counter]]] = []
        self._bigquery = bigquery
        self.duckdb = MemoryWarehouse()

    def run(self, phase: int) -> None:
        """A phase's rows arrive and are materialised."""
        self.site.arrive(phase)
        take_stock(self.site.world, self.duckdb, self.site.span)
        project_executor().run(self.duckdb, self.site.span)
        self._bigquery.fill(self.site.external_rows(), self._inventory())
        self._bigquery.build(self.site.span)
        self.rows.append({name: (self._of_bigquery(name), self._of_duckdb(name)) for name in self.models})

    def differences(self, phase: int) -> dict[str, dict[str, Counter]]:
        """Rows that only one warehouse has after a phase, by model."""
        return {
            name: {"only BigQuery": bigquery - duckdb, "only DuckDB": duckdb - bigquery}
            for name, (bigquery, duckdb) in self.rows[phase].items()
            if bigquery != duckdb
        }

    def empty(self, phase: int) -> list[str]:
        """Models of which there are no rows to compare."""
        return [name for name, (bigquery, _) in self.rows[phase].items() if not bigquery]

    def _inventory(self) -> list[dict[str, Any]]:
        """The inventory as DuckDB has it, with the addresses of a bucket."""
        columns = INVENTORY_SCHEMA.names
        found = self.duckdb.rows(f"select {', '.join(columns)} from lake_objects")
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        return [row | {"uri": f"{LAKE}/{row['object_name']}"} for row in rows]

    def _of_bigquery(self, name: str) -> Counter:
        return Counter(self._bigquery.rows(name)[1])

    def _of_duckdb(self, name: str) -> Counter:
        found = self.duckdb.database.execute(f"select * from {name}")
        return Counter(found.fetchall())


def kinds(script: str) -> str:
    """The first words of a script's statements; comments don't count, such as the one that carries a job's labels."""
    bare = re.sub(r"/\*.*?\*/|--[^\n]*", "", script, flags=re.S)
    return " ".join(statement.split()[0].lower() for statement in bare.split(";") if statement.strip())


def changes(scripts: Iterable[str]) -> dict[str, int]:
    """How many times each succession of `CHANGES` occurs in scripts that ran one after the other."""
    words = " ".join(map(kinds, scripts))
    return {succession: words.count(succession) for succession in CHANGES}
