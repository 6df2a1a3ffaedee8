"""The CSV behind each chart: `/download/<chart>.csv`, with the same query as the page's address."""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

import flask

from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards import music_queries as music
from streaming_assets.dashboards.manifest import SnapshotError
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.states import NAMES
from streaming_assets.dashboards.views import Extent, View

Rows = Iterable[Iterable[Any]]
# What OWASP's page on CSV injection lists: a spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def _active_users(snapshot: Snapshot, view: View) -> Rows:
    yield "day", "free", "paid", "all"
    for day, at in zip(view.days(), kpi.daily_active_users(snapshot, view.days()), strict=True):
        yield (day, at.free, at.paid, at.all) if at else (day, None, None, None)


def _ad_revenue(snapshot: Snapshot, view: View) -> Rows:
    yield "day", "ad_revenue_usd"
    for day, amount in zip(view.days(), kpi.daily_ad_revenue(snapshot, view.days()), strict=True):
        yield day, None if amount is None else round(amount, 6)


def _states(snapshot: Snapshot, view: View) -> Rows:
    names = music.state_names(snapshot)
    yield "state_code", "state", "streams", "share"
    for part in music.streams_by_state(snapshot, view):
        yield part.name, names[part.name], part.streams, part.share


def _genres(snapshot: Snapshot, view: View) -> Rows:
    yield "genre", "streams", "share"
    yield from ((part.name, part.streams, part.share) for part in music.genres(snapshot, view, shown=None))


def _artists(snapshot: Snapshot, view: View) -> Rows:
    yield "artist", "streams", "share"
    yield from ((part.name, part.streams, part.share) for part in music.artists(snapshot, view, shown=None))


def _songs(snapshot: Snapshot, view: View) -> Rows:
    yield "rank", "title", "artist", "streams"
    page = music.songs(snapshot, view, 0, None)
    yield from ((song.rank, song.title, song.artist, song.streams) for song in page.songs)


Chart = tuple[Callable[[Snapshot], Extent | None], Callable[[Snapshot, View], Rows]]
CHARTS: dict[str, Chart] = {
    "daily-active-users": (kpi.extent, _active_users),
    "daily-ad-revenue": (kpi.extent, _ad_revenue),
    "states": (music.extent, _states),
    "genres": (music.extent, _genres),
    "artists": (music.extent, _artists),
    "songs": (music.extent, _songs),
}


def harmless(cells: Iterable[Any]) -> list[Any]:
    """A row in which no text is a formula: such a text gets an apostrophe before it. Numbers stay as they are."""
    return [
        f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in cells
    ]


def register(server: flask.Flask, site: Site) -> None:
    """Serve the files."""

    @server.get("/download/<chart>.csv")
    def download(chart: str) -> flask.Response:
        if chart not in CHARTS:
            return _plain(f"There is no {chart}.csv; there are {', '.join(CHARTS)}.\n", 404)
        extent_of, rows_of = CHARTS[chart]
        try:
            snapshot = site.reader.current()
            extent = extent_of(snapshot)
            if extent is None:
                return _plain("Nothing has been published for this chart yet.\n", 404)
            names = music.state_names(snapshot) if extent_of is music.extent else NAMES
            view = View.of_address(flask.request.query_string.decode(), extent, names)
            text = io.StringIO()
            csv.writer(text, lineterminator="\r\n").writerows(map(harmless, rows_of(snapshot, view)))
        except SnapshotError as error:
            return _plain(f"{error}\n", 503)
        where = "" if view.state == "ALL" else f"-{view.state}"
        name = f"{chart}-{view.first}-{view.last}{where}.csv"
        return flask.Response(
            text.getvalue().encode(),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def _plain(text: str, code: int) -> flask.Response:
    return flask.Response(text, code, content_type="text/plain; charset=utf-8")
