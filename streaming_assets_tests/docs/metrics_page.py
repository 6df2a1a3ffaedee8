"""The part of docs/metrics.md that is made of dbt's semantic layer; as a program, writes it."""

from collections.abc import Iterator
from typing import Any

from streaming_assets.bi.semantics import (
    AGGREGATES,
    condition_of,
    derived,
    dimensions,
    measure_of,
    model_of,
    semantic_models,
    table_of,
)
from streaming_assets.dashboards.metrics import metrics
from streaming_assets.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "metrics.md"
_BEGIN = (
    "<!-- Made by `python -m streaming_assets_tests.docs.metrics_page` of dbt_project/models/metrics/. -->\n"
)
_END = "<!-- Until here. -->\n"


def page() -> str:
    """The page's text: what is written by hand, with the part made anew."""
    before, _, rest = PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + "\n".join(_lines()) + "\n" + _END + after


def _lines() -> Iterator[str]:
    for model in semantic_models().values():
        told = [metric for metric in metrics().values() if model_of(metric) == model["name"]]
        if not told:
            continue
        divided = (
            f"`{entity}__{one['name']}{'__week' * (one['type'] == 'time')}`"
            for entity, one in dimensions(model)
        )
        yield from (
            "",
            f"### Of {model['name']}",
            "",
            f"{model['description'].removesuffix('.')}: rows of `{table_of(model)}`."
            f" By `metric_time__day`, `__week`, `__month`, `__quarter`, `__year`, and by {', '.join(divided)}.",
            "",
            "| metric | what it is | formula |",
            "|---|---|---|",
        )
        for metric in told:
            yield f"| `{metric['name']}` | {metric['description']} | `{_formula(metric)}` |"
    yield ""


def _formula(metric: dict[str, Any]) -> str:
    parameters = metric["type_params"]
    if metric["type"] == "ratio":
        return f"{parameters['numerator']} / {parameters['denominator']}"
    if metric["type"] == "derived":
        return derived(metric)
    measure = measure_of(metric)
    counted = "count(*)" if measure.get("expr") == "1" else None
    formula = counted or AGGREGATES[measure["agg"]].format(measure.get("expr", measure["name"]))
    where = condition_of(metric)
    return f"{formula} where {where}" if where else formula


if __name__ == "__main__":
    PAGE.write_text(page())
