"""dbt's runs on target gcp without BigQuery: GoogleSQL's analyser reads all statements, its evaluator executes them.

A first build and a later run, of all models and data tests, by the system's own runner. Each statement must be
GoogleSQL that fits the tables before it, prune what it reads, and leave the rows that DuckDB leaves.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

from streaming_assets.resources.tables import naive
from streaming_assets_tests.bigquery.project import BigQueryProject
from streaming_assets_tests.bigquery.site import Site
from streaming_assets_tests.properties.executor import MemoryWarehouse
from streaming_assets_tests.properties.machine import project_executor
from streaming_assets_tests.properties.world import take_stock

pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("googlesql"),
    pytest.mark.timeout(1200),  # 100 s of CPU, on a busy machine
]

# BigQuery shows a row by its fields, DuckDB by the line's own bytes.
DIFFERENT = {"stg_quarantine": {"raw_text"}}


class Both:
    """The two warehouses after the phases so far; rows of each model by phase."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder / "lake")
        self.bigquery = BigQueryProject(folder / "home")
        self.duckdb = MemoryWarehouse()
        self.models = [name for name in project_executor().models if not name.startswith(("base_", "int_"))]
        self.rows: list[dict[str, tuple[Counter, Counter]]] = []
        self.statements: list[list[str]] = []

    def run(self, phase: int) -> None:
        """A phase's rows arrive and are materialised."""
        self.site.arrive(phase)
        take_stock(self.site.world, self.duckdb, self.site.span)
        project_executor().run(self.duckdb, self.site.span)
        self.bigquery.fill(self.site.external_rows())
        self.bigquery.engine.prunes = phase > 0  # a first build reads all of what it has just built
        self.bigquery.engine.statements.clear()
        self.bigquery.build(self.site.span)
        self.statements.append(list(self.bigquery.engine.statements))
        self.rows.append({name: (self._of_bigquery(name), self._of_duckdb(name)) for name in self.models})

    def _of_bigquery(self, name: str) -> Counter:
        table = self.bigquery.table(name)
        return _counted(name, table.columns, table.rows or [])

    def _of_duckdb(self, name: str) -> Counter:
        found = self.duckdb.database.execute(f"select * from {name}")
        return _counted(name, [column[0] for column in found.description or []], found.fetchall())


def _counted(name: str, columns: Any, rows: list[tuple]) -> Counter:
    kept = [number for number, column in enumerate(columns) if column not in DIFFERENT.get(name, set())]
    return Counter(tuple(row[number] for number in kept) for row in rows)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    both = Both(tmp_path_factory.mktemp("bigquery"))
    both.run(0)
    both.run(1)
    return both


@pytest.mark.parametrize("phase", [0, 1], ids=["first build", "later run"])
def test_every_model_has_the_rows_that_duckdb_has(both: Both, phase: int) -> None:
    differences = {
        name: {"only BigQuery": bigquery - duckdb, "only DuckDB": duckdb - bigquery}
        for name, (bigquery, duckdb) in both.rows[phase].items()
        if bigquery != duckdb
    }
    assert not differences
    assert all(bigquery for bigquery, _ in both.rows[phase].values()), "every table has rows to compare"


def test_rows_are_replaced_by_one_merge_or_in_one_transaction(both: Both) -> None:
    first, later = (" ".join(map(_kind, statements)) for statements in both.statements)
    assert not {"merge", "delete", "begin"} & set(first.split()), "a first build has nothing to replace"
    assert later.count("merge") == 11, "seven staging tables and four marts"
    assert later.count("begin delete insert commit") == 5, "three dimensions and two facts"
    assert later.count("begin insert commit") == 1, "pages are only added"
    assert later.count("delete") == later.count("begin delete insert commit")
    assert later.count("update") == 2, "both facts are keyed anew"


def test_each_job_says_which_node_sent_it_and_for_which_hours(both: Both) -> None:
    jobs = both.bigquery.labels
    assert set(both.models) <= {job["asset"] for job in jobs}
    assert "assert_user_intervals_are_contiguous" in {job["asset"] for job in jobs}, "tests, too"
    window = {(job["window_start"], job["window_end"]) for job in jobs}
    assert window == {tuple(f"{naive(hour):%Y-%m-%d_%H_%M_%S}" for hour in both.site.span)}


def _kind(statement: str) -> str:
    """The first word of a statement, behind the comment that carries the job's labels."""
    return re.sub(r"/\*.*?\*/", "", statement, flags=re.S).split()[0].lower()
