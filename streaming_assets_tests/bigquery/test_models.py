"""dbt's runs on target gcp without BigQuery: GoogleSQL's analyser reads all statements, its evaluator executes them.

A first build and a later run, of all models and data tests, by the system's own runner. Each statement must be
GoogleSQL that fits the tables before it, prune what it reads, and leave the rows that DuckDB leaves.
"""

import json
import re
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import DatasetReference

pytest.importorskip("zetasql", reason="the GoogleSQL analyser `zetasql` needs Python 3.11")

from streaming_assets.assets.serving import readers_table
from streaming_assets.lake import lease
from streaming_assets.lake.bucket import BucketLake
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.lease import LeaseLost
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span
from streaming_assets.published.tables import masked
from streaming_assets.testing.publishing import parsed_project, tables
from streaming_assets.warehouses.bigquery_views import statements
from streaming_assets.warehouses.bigquery_warehouse import BigQueryWarehouse, replacement
from streaming_assets.warehouses.holding import look_at_tables
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.bigquery.counting import COUNTS, bare_of, counted, is_lookup, questions
from streaming_assets_tests.bigquery.dbt_on_engine import answered_by
from streaming_assets_tests.bigquery.engine import GoogleSql, Table
from streaming_assets_tests.bigquery.project import INVENTORY, SPAN, BigQueryProject
from streaming_assets_tests.bigquery.site import DATASET, FIRST, LAKE, PROJECT
from streaming_assets_tests.bigquery.warehouses import CHANGES, Both, changes
from streaming_assets_tests.metricflow import MetricFlow, documented, plain

pytestmark = [
    pytest.mark.integration,
    pytest.mark.xdist_group("googlesql"),
    pytest.mark.timeout(1200),  # 100 s of CPU, on a busy machine
]


class Checked(BigQueryProject):
    """The project on the analyser and the evaluator; statements by phase."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.statements: list[list[str]] = []

    def build(self, span: Span = SPAN) -> None:
        self.engine.prunes = bool(self.statements)  # a first build reads all of what it has just built
        self.engine.statements.clear()
        super().build(span)
        self.statements.append(list(self.engine.statements))


@pytest.fixture(scope="module")
def bigquery(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    return Checked(tmp_path_factory.mktemp("bigquery"))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, bigquery: Checked) -> Both:
    both = Both(tmp_path_factory.mktemp("site"), bigquery)
    both.run(0)
    both.run(1)
    return both


@pytest.mark.parametrize("phase", [0, 1], ids=["first build", "later run"])
def test_every_model_has_the_rows_that_duckdb_has(both: Both, phase: int) -> None:
    assert not both.differences(phase)
    assert not both.empty(phase), "every table has rows to compare"


def test_rows_are_replaced_by_one_merge_or_in_one_transaction(both: Both, bigquery: Checked) -> None:
    first, later = bigquery.statements
    assert not any(changes(first).values()), "a first build has nothing to replace"
    assert changes(later) == CHANGES


def test_each_job_says_which_node_sent_it_and_for_which_hours(both: Both, bigquery: Checked) -> None:
    jobs = bigquery.labels
    assert set(both.models) <= {job["asset"] for job in jobs}
    assert "assert_user_intervals_are_contiguous" in {job["asset"] for job in jobs}, "tests, too"
    window = {(job["window_start"], job["window_end"]) for job in jobs}
    assert window == {tuple(f"{naive(hour):%Y-%m-%d_%H_%M_%S}" for hour in both.site.span)}


def test_what_a_run_sends_is_as_counted_for_quotas_and_costs(both: Both, bigquery: Checked) -> None:
    """`python -m streaming_assets_tests.bigquery.counting` counts anew, then `python benchmarks/cost.py --write`."""
    later = bigquery.statements[1]
    assert counted(later) == json.loads(COUNTS.read_text())
    asked = Counter(bare for text in later if is_lookup(bare := bare_of(text)))
    assert max(asked.values()) <= 2 * 4, "by each of dbt's threads at most, for models and for tests"


def test_metricflow_asks_the_same_of_both(both: Both, bigquery: Checked) -> None:
    """Each metric, and each question of docs/metrics.md, of the days that there are."""
    engine = bigquery.engine
    engine.prunes = False
    of_bigquery = MetricFlow(bigquery.target_path, "bigquery")
    of_duckdb = MetricFlow(parsed_project())
    commands = [f"mf query --metrics {metric} --group-by metric_time__week" for metric in of_duckdb.metrics]
    for command in chain.from_iterable(documented().values()):
        days = command.replace("2025-01-13", f"{FIRST:%F}").replace("2025-02-11", f"{FIRST + 48 * HOUR:%F}")
        commands.append(days.replace("= 'TX'", "<> 'TX'"))
    for command in commands:
        wanted = plain(both.duckdb.rows(of_duckdb.sql(command).replace('"warehouse".', "")))
        found = plain(engine.run(of_bigquery.sql(command))[1])
        assert wanted, command
        assert Counter(found) == Counter(wanted), command


class OnEngine(BigQueryWarehouse):
    """The warehouse's own queries, sent to the engine with the names of tables made whole."""

    def __init__(self, engine: GoogleSql) -> None:
        super().__init__(PROJECT, DATASET, NotImplementedError, 0, BucketLake(LAKE), 0)
        self.engine = engine

    def has_table(self, name: str) -> bool:
        return f"{PROJECT}.{DATASET}.{name}" in self.engine.tables

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.engine.run(self.whole(sql))[1]

    def tables(self) -> set[str]:
        return {name.rpartition(".")[2] for name in self.engine.tables}

    def generation(self) -> str:
        return "of the engine"

    def execute(self, sql: str) -> None:
        self.engine.run(self.whole(sql))

    def whole(self, sql: str) -> str:
        return re.sub(
            r"\b(from|join|into|update|using) (\w+)\b(?!\()",
            lambda m: f"{m[1]} `{PROJECT}.{DATASET}.{m[2]}`" if self.has_table(m[2]) else m[0],
            sql,
        )


@pytest.fixture(scope="module")
def on_engine(both: Both, bigquery: Checked) -> OnEngine:
    """BigQuery's tables after both phases, and the inventory, which loads fill, as DuckDB has it."""
    engine = bigquery.engine
    engine.prunes = False
    rows = [
        tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row)
        for row in both.duckdb.rows("select * from lake_objects")
    ]
    for name in ("lake_objects", "lake_objects_incoming"):
        engine.tables[f"{PROJECT}.{DATASET}.{name}"] = Table(INVENTORY, (), list(rows))
    return OnEngine(engine)


def test_checks_find_the_same_on_both(both: Both, on_engine: OnEngine) -> None:
    compared = []
    for name, sql in questions(both.site.span).items():
        found, wanted = on_engine.rows(sql), both.duckdb.rows(sql)
        assert Counter(map(_plain, found)) == Counter(map(_plain, wanted)), name
        compared += [name] if wanted else []
    assert {
        "quarantine",
        "levels",
        "rows of listen_events",
        "rows of page_view_events",
        "copies of listen_events",
    } <= set(compared)


def test_the_warehouse_answers_the_same_on_both(both: Both, on_engine: OnEngine) -> None:
    span, first = both.site.span, both.site.span[0]
    marts = {"mart_daily_streams": "event_date", "mart_weekly_users": "week_start"}
    for ask in (
        lambda warehouse: warehouse.known_rows(span),
        lambda warehouse: warehouse.was_taken_in(first),
        lambda warehouse: warehouse.was_taken_in(first - HOUR),
        lambda warehouse: warehouse.all_days(marts),
        lambda warehouse: {name: warehouse.queued_days()[name] for name in marts},
        lambda warehouse: sorted(map(_plain, warehouse.hourly_profile("stg_listen_events", span))),
    ):
        assert ask(on_engine) == ask(both.duckdb)
    assert on_engine.queued_days()
    on_engine.mark_processed(span)
    both.duckdb.mark_processed(span)
    held = look_at_tables(on_engine, span, deep=True)
    assert held == replace(look_at_tables(both.duckdb, span, deep=True), generation=on_engine.generation())
    assert held.rows
    assert (held.lacking, held.surplus) == ({}, {})
    assert on_engine.newest_hour_end() == both.duckdb.newest_hour_end() > first
    on_engine.forget_queued(on_engine.queued_days())
    assert on_engine.queued_days() == {}
    on_engine.queue_all_days("mart_daily_streams", "event_date")
    assert list(on_engine.queued_days()) == ["mart_daily_streams"]


OPTIONS_OF_COLUMN = re.compile(r'` options \(description = "(?:[^"\\]|\\.)+"\)')


def test_readers_views_have_the_rows_of_their_tables(both: Both, on_engine: OnEngine) -> None:
    """All that is published on DuckDB, by the same names and columns, and up to when it is filled."""
    of_models = DatasetReference(PROJECT, DATASET)
    shown = statements(of_models, map(readers_table, tables().values()))
    for _, statement in shown.values():
        # Those of columns BigQuery takes, and the analyser does not.
        without, options = OPTIONS_OF_COLUMN.subn("`", statement)
        assert options
        on_engine.engine.run(without)
    assert shown.keys() == {*tables(), "snapshot"}
    for name, table in tables().items():
        columns, found = on_engine.engine.run(f"select * from `{PROJECT}.{DATASET}_readers.{name}`")
        assert list(columns) == table.schema.names
        assert found
        wanted = on_engine.rows(f"select {', '.join(columns)} from {name}")
        assert Counter(map(repr, found)) == Counter(map(repr, wanted)), name
    users = masked([tables()["dim_users"]], {"dim_users": ["first_name", "last_name"]})
    _, statement = statements(of_models, map(readers_table, users))["dim_users"]
    on_engine.engine.run(OPTIONS_OF_COLUMN.sub("`", statement))
    columns, found = on_engine.engine.run(f"select * from `{PROJECT}.{DATASET}_readers.dim_users`")
    assert list(columns) == users[0].schema.names
    null = [all(value is None for value in values) for values in zip(*found, strict=True)]
    assert [column for column, is_null in zip(columns, null, strict=True) if is_null] == [
        "first_name",
        "last_name",
    ]
    ((as_of,),) = on_engine.engine.run(f"select as_of from `{PROJECT}.{DATASET}_readers.snapshot`")[1]
    assert _plain((as_of,)) == (on_engine.newest_hour_end(),)


def test_the_inventory_of_hours_is_replaced_by_a_merge_that_bigquery_takes(
    both: Both, on_engine: OnEngine
) -> None:
    merge = replacement(both.site.span)
    assert on_engine.engine.understand(on_engine.whole(merge)) == ["ResolvedMergeStmt"]


def test_a_run_that_lost_the_dataset_begins_no_model_more(
    bigquery: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of these tests, since it breaks off in the midst of a run."""
    monkeypatch.setattr(lease, "SECONDS", 4.0)
    lake, send, sent = FolderLake(tmp_path), bigquery.engine.run, 0
    warehouse = BigQueryWarehouse(PROJECT, DATASET, NotImplementedError, 0, lake, 0)
    bigquery.dbt.load()
    bigquery.engine.prunes = False

    def lost_at_the_third(script: str) -> Any:
        nonlocal sent
        sent += 1
        if sent == 3:
            thief = {"holder": "another", "token": "t", "until": time.time() + 60}
            lake.write(f"leases/{PROJECT}.{DATASET}.json", json.dumps(thief).encode())
            time.sleep(3)
        return send(script)

    def build() -> None:
        with warehouse.exclusive():
            bigquery.dbt.run(SPAN)

    monkeypatch.setattr(bigquery.engine, "run", lost_at_the_third)
    with (
        answered_by(bigquery.engine) as labels,
        pytest.raises(LeaseLost, match="Nothing more is written"),
    ):
        build()
    assert sent < 3 + 4, "what dbt's four threads had begun, and no more"
    assert {job["dataset"] for job in labels} == {DATASET}, "whoever follows finds the jobs by it"


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Times without a zone are UTC; decimals and integers compare as they are."""
    return tuple(v.replace(tzinfo=UTC) if isinstance(v, datetime) and v.tzinfo is None else v for v in row)
