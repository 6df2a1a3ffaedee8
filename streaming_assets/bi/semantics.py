"""dbt's semantic layer as plain SQL, for tools that know aggregates over one table. Pure.

A cube is a semantic model with measures as one table: a row of its fact each, with the columns

    metric_time         the time by which its metrics are counted
    <entity>__<name>    each dimension by which they can be divided, as MetricFlow calls it
    measure__<name>     what a measure adds up or counts

and each metric is an aggregate over these. Its numbers are those that MetricFlow answers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from streaming_assets.dashboards.metrics import metrics, said

AGGREGATES = {"count_distinct": "count(distinct {})", "sum": "sum({})", "average": "avg({})"}
TIME = "metric_time"
_DIMENSION = re.compile(r"\{\{ Dimension\('(\w+)'\) \}\}")
_SETTING = re.compile(r"\{\{ env_var\('(\w+)'.*?\}\}")


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: its name.
        label: what it is called where people read it.
        description: what it means.
        sql: the aggregate over its cube.
    """

    name: str
    label: str
    description: str
    sql: str


@dataclass(frozen=True)
class Cube:
    """One table of metrics.

    Attributes:
        name: the semantic model's.
        description: what it is.
        sql: the query of its rows, of the published tables.
        dimensions: name and description of the columns to divide by, TIME the first.
        times: those of them that are times.
        measures: name and description of the columns that metrics are made of.
        metrics: those whose numbers it gives.
    """

    name: str
    description: str
    sql: str
    dimensions: dict[str, str]
    times: tuple[str, ...]
    measures: dict[str, str]
    metrics: tuple[Metric, ...]


def cubes(settings: dict[str, Any]) -> tuple[Cube, ...]:
    """The semantic models with measures.

    Args:
        settings: values of those that formulas name, by the name in the environment.
    """
    return tuple(_cube(model, settings) for model in semantic_models().values() if model.get("measures"))


@cache
def semantic_models() -> dict[str, dict[str, Any]]:
    """Each semantic model as its YAML has it, by name."""
    return said("metrics", "semantic_models")


def table_of(model: dict[str, Any]) -> str:
    """The dbt model that a semantic model is of."""
    return re.sub(r"ref\('(\w+)'\)", r"\1", model["model"])


def dimensions(model: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a model's metrics can be divided by, each with its entity, which the model's rows are or name."""
    having = {_primary(other): other for other in semantic_models().values()}
    for entity in dict.fromkeys([_primary(model), *(entity["name"] for entity in model["entities"])]):
        for dimension in having[entity]["dimensions"]:
            if dimension["name"] != model["defaults"]["agg_time_dimension"]:
                yield entity, dimension


def model_of(metric: dict[str, Any]) -> str:
    """The semantic model that a metric's first measure is of."""
    parameters = metric["type_params"]
    if metric["type"] != "simple":
        return model_of(metrics()[parameters.get("numerator") or parameters["metrics"][0]])
    return measure_of(metric)["of"]


def measure_of(metric: dict[str, Any]) -> dict[str, Any]:
    """The measure of a simple metric, with the name of its semantic model under `of`."""
    measure = metric["type_params"]["measure"]
    return _measures()[measure if isinstance(measure, str) else measure["name"]]


def condition_of(metric: dict[str, Any]) -> str:
    """The condition that rows of a metric meet, over the dimensions' names; empty if there is none."""
    return _DIMENSION.sub(r"\1", metric.get("filter", ""))


def derived(metric: dict[str, Any]) -> str:
    """The expression of a derived metric, with settings by their names in the environment."""
    return _SETTING.sub(r"\1", metric["type_params"]["expr"])


def _cube(model: dict[str, Any], settings: dict[str, Any]) -> Cube:
    own = _primary(model)
    (time,) = (d for d in model["dimensions"] if d["name"] == model["defaults"]["agg_time_dimension"])
    divided = {f"{entity}__{one['name']}": (entity, one) for entity, one in dimensions(model)}
    measures = {_column(one): one for one in model["measures"]}

    def part(table: str, entity: str, keys: list[str], more: dict[str, dict[str, Any]]) -> str:
        named = {name: one for name, (of, one) in divided.items() if of == entity} | more
        columns = [*keys, *(f"{one.get('expr', one['name'])} as {name}" for name, one in named.items())]
        return f"(select {', '.join(columns)} from {table}) as {entity}s"

    joined = {entity["name"]: entity["expr"] for entity in model["entities"]}
    parts = [part(table_of(model), own, list(joined.values()), {TIME: time} | measures)]
    for other in semantic_models().values():
        if key := joined.get(_primary(other)):
            parts.append(f"{part(table_of(other), _primary(other), [key], {})} using ({key})")
    return Cube(
        model["name"],
        model["description"],
        f"select {', '.join([TIME, *divided, *measures])} from {' left join '.join(parts)}",
        {TIME: time["description"]} | {name: one["description"] for name, (_, one) in divided.items()},
        (TIME, *(name for name, (_, one) in divided.items() if one["type"] == "time")),
        {name: one["description"] for name, one in measures.items()},
        tuple(
            Metric(metric["name"], metric["label"], metric["description"], _sql(metric, settings))
            for metric in metrics().values()
            if model_of(metric) == model["name"]
        ),
    )


def _sql(metric: dict[str, Any], settings: dict[str, Any]) -> str:
    parameters = metric["type_params"]
    if metric["type"] == "ratio":
        over, under = (_sql(metrics()[parameters[part]], settings) for part in ("numerator", "denominator"))
        return f"cast({over} as double) / nullif({under}, 0)"
    if metric["type"] == "derived":
        named = {name: f"({_sql(metrics()[name], settings)})" for name in parameters["metrics"]}
        return re.sub(r"\b[A-Za-z_]\w*", lambda word: str((named | settings)[word[0]]), derived(metric))
    measure, condition = measure_of(metric), condition_of(metric)
    of = f"case when {condition} then {_column(measure)} end" if condition else _column(measure)
    return AGGREGATES[measure["agg"]].format(of)


def _column(measure: dict[str, Any]) -> str:
    """Its column, which is called otherwise than a metric: some tools take one for the other."""
    return f"measure__{measure['name']}"


def _primary(model: dict[str, Any]) -> str:
    named = [entity["name"] for entity in model["entities"] if entity["type"] == "primary"]
    return model.get("primary_entity") or named[0]


@cache
def _measures() -> dict[str, dict[str, Any]]:
    return {
        measure["name"]: measure | {"of": model["name"]}
        for model in semantic_models().values()
        for measure in model.get("measures", [])
    }
