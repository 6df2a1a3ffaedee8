"""The charts of the pages, a file each: a module here that says `CHART = Chart(...)` is on its page."""

import pkgutil
from functools import cache
from importlib import import_module

from streaming_assets.dashboards.chart import Chart
from streaming_assets.dashboards.metrics import metrics
from streaming_assets.dashboards.pages import BY_NAME


class ChartError(Exception):
    """A chart's file is not as it must be; the message names it."""


@cache
def all_charts() -> tuple[Chart, ...]:
    """All charts, in the order of pages and places.

    Raises:
        ChartError: a file says no chart, one on no page, one of no metric, or one by a name that another has.
    """
    found: dict[str, Chart] = {}
    for module in pkgutil.iter_modules(__path__):
        file = f"dashboards/charts/{module.name}.py"
        chart = getattr(import_module(f"{__name__}.{module.name}"), "CHART", None)
        if not isinstance(chart, Chart):
            raise ChartError(f"{file} must say CHART = Chart(...)")
        if chart.page not in BY_NAME:
            raise ChartError(f"{file}: there is no page {chart.page}; there are {', '.join(BY_NAME)}")
        if chart.metric and chart.metric not in metrics():
            raise ChartError(f"{file}: there is no metric {chart.metric}; there are {', '.join(metrics())}")
        if chart.name in found:
            raise ChartError(f"{file}: another chart is called {chart.name}")
        found[chart.name] = chart
    return tuple(
        sorted(found.values(), key=lambda chart: ([*BY_NAME].index(chart.page), chart.place, chart.name))
    )


def charts_of(page: str) -> tuple[Chart, ...]:
    """The charts of one page, in their places."""
    return tuple(chart for chart in all_charts() if chart.page == page)
