"""What Superset imports: the readers' database, its tables, the cubes with the metrics, and one dashboard. Pure.

Everything has the same id each time, so that an import replaces what the one before made. Superset's own words: a
dataset is a table or a query with its columns and metrics, a chart's query context is what the chart asks.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from streaming_assets.bi.semantics import TIME, Cube

VERSION = "1.0.0"  # of the format
DATABASE = "streaming_assets"
DASHBOARD = "streaming-assets"  # in its address
_WEEK, _DAY = "P1W", "P1D"
_WIDTH = 12  # of a row of a dashboard, in columns


@dataclass(frozen=True)
class Column:
    """A column of a table: name, DuckDB's type, meaning."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Chart:
    """A chart of the dashboard: metrics of one cube, by time or by what there is most of."""

    title: str
    cube: str
    metrics: tuple[str, ...]
    by: str = TIME
    grain: str = ""
    kind: str = "echarts_timeseries_line"


CHARTS = (
    Chart("Active and paid users by week", "sessions", ("active_users", "paid_users"), grain=_WEEK),
    Chart("Conversion rate by week", "sessions", ("conversion_rate",), grain=_WEEK),
    Chart(
        "Advertising revenue by day", "sessions", ("ad_revenue",), grain=_DAY, kind="echarts_timeseries_bar"
    ),
    Chart("Listens by day", "listens", ("listens",), grain=_DAY, kind="echarts_timeseries_bar"),
    Chart("States by listens", "listens", ("listens", "listeners"), by="location__state_code", kind="table"),
    Chart("Artists by listens", "listens", ("listens", "listeners"), by="song__artist", kind="table"),
)


def bundle(
    database: Path, tables: Mapping[tuple[str, str], Iterable[Column]], cubes: Iterable[Cube]
) -> dict[str, dict[str, Any]]:
    """Each file of the bundle, by its name.

    Args:
        database: `analytics.duckdb`.
        tables: the columns of each of its tables, by name and description of the table.
        cubes: those whose metrics are wanted.
    """
    made = {
        "metadata.yaml": {"version": VERSION, "type": "assets", "timestamp": "2025-01-01T00:00:00+00:00"},
        f"databases/{DATABASE}.yaml": _database(database),
    }
    for (name, description), columns in tables.items():
        made[f"datasets/{DATABASE}/{name}.yaml"] = _dataset(name, description) | {
            "columns": [_column(column.name, column.description, column.type) for column in columns],
            "metrics": [{"metric_name": "count", "expression": "count(*)", "verbose_name": "Rows"}],
        }
    for cube in cubes:
        made[f"datasets/{DATABASE}/{_of(cube)}.yaml"] = _cube(cube)
    for chart in CHARTS:
        made[f"charts/{_id(chart.title)}.yaml"] = _chart(chart)
    return made | {f"dashboards/{DASHBOARD}.yaml": _dashboard()}


def _database(path: Path) -> dict[str, Any]:
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": f"duckdb:///{path}",
        "expose_in_sqllab": True,
        "allow_dml": False,
        "extra": {"engine_params": {"connect_args": {"read_only": True}}},
        "uuid": _id("database"),
        "version": VERSION,
    }


def _dataset(name: str, description: str) -> dict[str, Any]:
    return {
        "table_name": name,
        "schema": "main",
        "description": description,
        "uuid": _id(f"dataset {name}"),
        "database_uuid": _id("database"),
        "version": VERSION,
    }


def _cube(cube: Cube) -> dict[str, Any]:
    measures = [_column(name, said, "") | {"groupby": False} for name, said in cube.measures.items()]
    return _dataset(_of(cube), cube.description) | {
        "sql": cube.sql,
        "main_dttm_col": TIME,
        "columns": [
            *(
                _column(name, said, "TIMESTAMP" if name in cube.times else "VARCHAR")
                for name, said in cube.dimensions.items()
            ),
            *measures,
        ],
        "metrics": [
            {
                "metric_name": metric.name,
                "verbose_name": metric.label,
                "description": metric.description,
                "expression": metric.sql,
            }
            for metric in cube.metrics
        ],
    }


def _column(name: str, description: str, kind: str) -> dict[str, Any]:
    is_time = kind in ("TIMESTAMP", "DATE")
    return {
        "column_name": name,
        "description": description,
        "type": kind,
        "is_dttm": is_time,
        "groupby": True,
        "filterable": True,
    }


def _chart(chart: Chart) -> dict[str, Any]:
    metrics = list(chart.metrics)
    asked: dict[str, Any] = {"metrics": metrics, "filters": [], "row_limit": 10_000}
    form: dict[str, Any] = {"viz_type": chart.kind, "metrics": metrics, "row_limit": 10_000}
    if chart.grain:
        column = {"columnType": "BASE_AXIS", "expressionType": "SQL", "label": TIME, "sqlExpression": TIME}
        asked |= {"columns": [column | {"timeGrain": chart.grain}], "orderby": [[metrics[0], False]]}
        form |= {"x_axis": TIME, "time_grain_sqla": chart.grain, "groupby": []}
    else:
        asked |= {"columns": [chart.by], "orderby": [[metrics[0], False]], "row_limit": 50}
        form |= {"groupby": [chart.by], "query_mode": "aggregate", "row_limit": 50}
    context = {
        "datasource": {"id": 0, "type": "table"},  # Superset puts in which
        "queries": [asked],
        "form_data": form,
        "result_format": "json",
        "result_type": "full",
    }
    return {
        "slice_name": chart.title,
        "viz_type": chart.kind,
        "params": form,
        "query_context": json.dumps(context),
        "uuid": _id(chart.title),
        "dataset_uuid": _id(f"dataset metrics_{chart.cube}"),
        "version": VERSION,
    }


def _dashboard() -> dict[str, Any]:
    """Two charts a row, in their order."""
    rows = [CHARTS[start : start + 2] for start in range(0, len(CHARTS), 2)]
    names = [f"ROW-{number}" for number, _ in enumerate(rows)]
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": names, "parents": ["ROOT_ID"]},
    }
    for name, row in zip(names, rows, strict=True):
        inside = ["ROOT_ID", "GRID_ID"]
        held = {f"CHART-{_id(chart.title)}": chart for chart in row}
        meta = {"background": "BACKGROUND_TRANSPARENT"}
        position[name] = {"type": "ROW", "id": name, "children": [*held], "parents": inside, "meta": meta}
        for key, chart in held.items():
            meta = {"uuid": _id(chart.title), "width": _WIDTH // 2, "height": 50, "sliceName": chart.title}
            position[key] = {
                "type": "CHART",
                "id": key,
                "children": [],
                "parents": [*inside, name],
                "meta": meta | {"chartId": 0},
            }
    return {
        "dashboard_title": "Users and listens",
        "slug": DASHBOARD,
        "position": position,
        "metadata": {},
        "published": True,
        "uuid": _id("dashboard"),
        "version": VERSION,
    }


def _of(cube: Cube) -> str:
    """The cube's dataset, which is called otherwise than its metrics and tables."""
    return f"metrics_{cube.name}"


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"streaming_assets {name}"))
