"""What a run sends to BigQuery, counted from the statements of an offline run: for quotas, and for the model of costs.

    python -m streaming_assets_tests.bigquery.counting      writes benchmarks/bigquery_statements.json

A run over one hour or over a day sends the same, since each statement covers all hours of its run.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from streaming_assets.checks.hourly import STAGING
from streaming_assets.checks.queries import (
    CONTRADICTING_USERS,
    DEPARTURES,
    DIFFERING_COPIES,
    DIFFERING_HOURS,
    LEVELS,
    OFFSET_GAPS,
    QUARANTINE,
    UNACCOUNTED_ROWS,
    UNUSUAL_FIELDS,
    compared_columns,
    differences,
    limits_of_fields,
)
from streaming_assets.lake.fields import SAMPLE_LINES
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.names import HOUR, ObjectName
from streaming_assets.partitions import Span
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets.warehouses.bigquery_warehouse import BigQueryWarehouse
from streaming_assets.warehouses.tables import literal
from streaming_assets_tests.bigquery.site import FIRST

COUNTS = PROJECT_ROOT / "benchmarks" / "bigquery_statements.json"
_LABELS = re.compile(r"/\* (\{.*?\}) \*/", re.S)
_TABLE = r"[`\w.-]+"
_CHANGES = {
    "overwritten": re.compile(rf"(?:create or replace table|load into) ({_TABLE})"),
    "inserted": re.compile(rf"insert into ({_TABLE})"),
    "mutated": re.compile(rf"(?:merge into|delete from|update) ({_TABLE})"),
}
_READ = re.compile(rf"\b(?:from|join) ({_TABLE})")
_RELATION = re.compile(r"(base|int|stg|dim|fact|mart)_\w+|lake_objects|publish_queue")
_TEST = "as failures"  # what dbt asks of each test


def counts(statements: Iterable[str], own: Iterable[str], checks: Iterable[str]) -> dict[str, Any]:
    """Jobs of a run by what sent them; statements that change a table, by table; tables that questions read, so often.

    A lookup counts once, though some of dbt's threads may ask for it at once, and tests ask anew.

    Args:
        statements: of dbt's models and tests, one after the other; a job's first has its labels.
        own: those of the warehouse itself.
        checks: the hourly checks' questions.
    """
    jobs, read, changed = Counter(), Counter(), {kind: Counter() for kind in _CHANGES}
    asked = set()
    for text in [*statements, *(f"/* {{}} */ {sql}" for sql in own)]:
        bare = bare_of(text)
        if is_lookup(bare) and bare in asked:
            continue
        asked.add(bare)
        if _LABELS.search(text):
            jobs["tests" if _TEST in bare else "lookups" if is_lookup(bare) else "models"] += 1
        for kind, pattern in _CHANGES.items():
            if (found := pattern.match(bare)) and "__dbt_tmp" not in found[1]:
                changed[kind][_name(found[1])] += 1
        if is_lookup(bare):
            read.update(_tables(bare))
    for sql in checks:
        jobs["checks"] += 1
        read.update(_tables(sql))
    return {
        "jobs": dict(sorted(jobs.items())),
        **{kind: dict(sorted(tables.items())) for kind, tables in changed.items()},
        "read_by_lookups_and_checks": dict(sorted(read.items())),
    }


def bare_of(text: str) -> str:
    """A statement without comments, on one line."""
    return " ".join(re.sub(r"/\*.*?\*/|--[^\n]*", "", text, flags=re.S).split())


def is_lookup(statement: str) -> bool:
    """Whether a statement without comments is a question whose answer goes into other statements."""
    return statement.startswith(("select", "with")) and _TEST not in statement


def _name(table: str) -> str:
    return table.replace("`", "").rpartition(".")[2]


def _tables(sql: str) -> list[str]:
    """The tables that a query names, each as often as it does."""
    return [name for table in _READ.findall(sql) if _RELATION.fullmatch(name := _name(table))]


def own_statements() -> list[str]:
    """What the warehouse itself sends for a run's hours, a load among them."""
    sent: list[str] = []

    class Recorded(BigQueryWarehouse):
        def _run(self, sql: str) -> Any:
            sent.append(sql)
            return []

    def load(rows: Any, table: Any, job_config: Any) -> Any:
        sent.append(f"load into {table.table_id}")
        return SimpleNamespace(result=lambda: None)

    client: Any = SimpleNamespace(load_table_from_json=load)
    warehouse = Recorded("p", "d", lambda: client, 0, SimpleNamespace(), 0)  # type: ignore[arg-type]
    span = (FIRST, FIRST + HOUR)
    warehouse.known_rows(span)
    warehouse.record_objects(span, [InventoryRow(ObjectName("t", FIRST, 0, 0), "gs://b/x", 1, 1, 1)])
    warehouse.mark_processed(span)
    return sent


def questions(span: Span) -> dict[str, str]:
    """All that the hourly checks ask, by topic and check."""
    first, end = map(literal, span)
    bounds = {
        "start": first,
        "end": end,
        "lookback": literal(span[0] - 24 * HOUR),
        "next_end": literal(span[1] + HOUR),
    }
    asked = {"quarantine": QUARANTINE.format(**bounds), "levels": LEVELS.format(**bounds)}
    asked["fields"] = UNUSUAL_FIELDS.format(limits=limits_of_fields(), **bounds)
    asked["departures"] = DEPARTURES.format(sample_lines=SAMPLE_LINES, **bounds)
    asked["copies in an hour"] = DIFFERING_COPIES.format(**bounds)
    asked["users"] = CONTRADICTING_USERS.format(**bounds)
    for topic, staging in STAGING.items():
        asked[f"copies of {topic}"] = DIFFERING_HOURS.format(
            staging=staging, differences=differences(compared_columns(staging)), **bounds
        )
        asked[f"rows of {topic}"] = UNACCOUNTED_ROWS.format(topic=topic, staging=staging, **bounds)
        asked[f"offsets of {topic}"] = OFFSET_GAPS.format(topic=topic, **bounds)
    return asked


def counted(statements: Iterable[str]) -> dict[str, Any]:
    """The counts of a later run, whose statements of dbt these are."""
    return counts(statements, own_statements(), questions((FIRST, FIRST + HOUR)).values())


def _main() -> None:
    """Without rows, which change no count: then nothing is evaluated."""
    from streaming_assets_tests.bigquery.dbt_on_engine import answered_by
    from streaming_assets_tests.bigquery.project import SPAN, BigQueryProject

    with TemporaryDirectory() as folder:
        project = BigQueryProject(Path(folder))
        with answered_by(project.engine):
            project.dbt.run(SPAN)
            project.engine.statements.clear()
            project.dbt.run(SPAN)
            project.dbt.test(SPAN)
        COUNTS.write_text(json.dumps(counted(project.engine.statements), indent=2) + "\n")


if __name__ == "__main__":
    _main()
