"""Charts are found, not registered: what a file must say."""

import sys
from pathlib import Path

import pytest

from streaming_assets.dashboards import charts
from streaming_assets.dashboards.charts import ChartError, all_charts, charts_of
from streaming_assets.testing.publishing import tables

GOOD = """
from streaming_assets.dashboards.chart import Chart, Drawn
CHART = Chart("new", "New", "{page}", 5, 12, ("mart_daily_streams",), lambda s, v: Drawn(""), lambda s, v: [])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files are charts as well."""
    monkeypatch.setattr(charts, "__path__", [*charts.__path__, str(tmp_path)])
    all_charts.cache_clear()
    yield tmp_path
    all_charts.cache_clear()
    for name in [name for name in sys.modules if name.startswith(f"{charts.__name__}.extra")]:
        del sys.modules[name]


def test_each_file_is_a_chart_on_its_page() -> None:
    files = {path.stem for path in Path(charts.__file__).parent.glob("[a-z]*.py")}
    assert {chart.name.replace("-", "_") for chart in all_charts()} == files
    assert [chart.name for chart in charts_of("kpi")] == ["daily-active-users", "daily-ad-revenue"]
    assert [chart.name for chart in charts_of("music")] == ["states", "genres", "artists", "songs"]
    assert [chart.name for chart in charts_of("listeners")] == [
        "retention",
        "new-users",
        "funnel",
        "level-changes",
        "departures",
    ]
    assert [chart.name for chart in charts_of("habits")] == [
        "play-hours",
        "session-lengths",
        "session-songs",
        "next-songs",
    ]


def test_what_charts_read_is_published() -> None:
    assert {table for chart in all_charts() for table in chart.reads} <= set(tables())


def test_a_further_file_is_a_further_chart(folder: Path) -> None:
    (folder / "extra.py").write_text(GOOD.format(page="kpi"))
    assert [chart.name for chart in charts_of("kpi")] == ["new", "daily-active-users", "daily-ad-revenue"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CHART = 1", "charts/extra.py must say CHART = Chart"),
        ("", "charts/extra.py must say CHART = Chart"),
        (
            GOOD.format(page="sports"),
            "charts/extra.py: there is no page sports; there are kpi, music, listeners, habits",
        ),
        (GOOD.format(page="kpi").replace('"new"', '"songs"'), "another chart is called songs"),
        (
            GOOD.format(page="kpi").replace("[])", '[], metric="plays")'),
            "no metric plays; there are listens, ",
        ),
    ],
)
def test_a_file_that_is_amiss_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "extra.py").write_text(text)
    with pytest.raises(ChartError, match=message):
        all_charts()
