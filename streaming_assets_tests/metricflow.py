"""MetricFlow in this process: what `mf query` asks, as SQL of either warehouse, without the seconds of its start."""

import re
import shlex
from collections.abc import Iterable
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import duckdb
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.big_query import BigQuerySqlPlanRenderer
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

from streaming_assets.settings import PROJECT_ROOT

_DOCUMENT = PROJECT_ROOT / "docs" / "metrics.md"
_CLIENTS: dict[str, Any] = {
    "duckdb": SimpleNamespace(
        sql_engine_type=SqlEngine.DUCKDB, sql_plan_renderer=DuckDbSqlPlanRenderer()
    ),
    "bigquery": SimpleNamespace(
        sql_engine_type=SqlEngine.BIGQUERY, sql_plan_renderer=BigQuerySqlPlanRenderer()
    ),
}  # fmt: skip


def documented() -> dict[str, list[str]]:
    """The `mf query` commands of docs/metrics.md, by the name of the query of a mart that gives the same number."""
    blocks = re.findall(r"```sh\n((?:mf .*\n)+)```\n\n```sql\n-- ([a-z-]+)\n", _DOCUMENT.read_text())
    return {name: commands.splitlines() for commands, name in blocks}


def in_words() -> list[str]:
    """The other ones, which stand within its text."""
    return re.findall(r"`(mf query --metrics [^`]+)`", _DOCUMENT.read_text())


class MetricFlow:
    """The metrics of a parsed project, whose dbt target folder is given."""

    def __init__(self, target_path: Path, warehouse: str = "duckdb") -> None:
        manifest = parse_manifest_from_dbt_generated_manifest(
            (target_path / "semantic_manifest.json").read_text()
        )
        self.metrics = [metric.name for metric in manifest.metrics]
        self._engine = MetricFlowEngine(SemanticManifestLookup(manifest), _CLIENTS[warehouse])

    def sql(self, command: str) -> str:
        """The SQL of a `mf query` command; its columns are those of --group-by, then --metrics."""
        program, query, *arguments = shlex.split(command)
        assert (program, query) == ("mf", "query"), command
        asked = _OPTIONS.make_context(command, arguments).params
        request = MetricFlowQueryRequest.create(
            metric_names=asked["metrics"],
            group_by_names=asked["group_by"],
            where_constraints=asked["where"],
            time_constraint_start=asked["start_time"],
            time_constraint_end=asked["end_time"],
            order_by_names=asked["order"],
            limit=asked["limit"],
        )
        columns = ", ".join([*asked["group_by"], *asked["metrics"]])
        return f"select {columns} from ({self._engine.explain(request).sql_statement.sql}) as answer"

    def rows(self, connection: duckdb.DuckDBPyConnection, command: str) -> list[tuple[Any, ...]]:
        """Its answer, from a connection that has the warehouse, as `plain` gives it."""
        return plain(connection.execute(self.sql(command)).fetchall())


def plain(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows that can be compared: midnights as days, fractions as floats of nine digits."""
    return [tuple(map(_plain, row)) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.time() == time(), value
        return value.date()
    return float(f"{value:.9g}") if isinstance(value, float | Decimal) else value


def _names(_context: click.Context, _option: click.Parameter, text: str | None) -> list[str]:
    return text.split(",") if text else []


# Those of MetricFlow's own command that the document uses; that one imports all of dbt.
_OPTIONS = click.Command(
    "mf query",
    params=[
        click.Option(["--metrics"], callback=_names),
        click.Option(["--group-by"], callback=_names),
        click.Option(["--where"], multiple=True),
        click.Option(["--start-time"], type=click.DateTime()),
        click.Option(["--end-time"], type=click.DateTime()),
        click.Option(["--order"], callback=_names),
        click.Option(["--limit"], type=int),
    ],
)
