"""The CSV behind each chart: `/download/<chart>.csv`, with the same query as the page's address."""

import csv
import io

import flask

from streaming_assets.dashboards import board
from streaming_assets.dashboards.charts import all_charts
from streaming_assets.dashboards.site import Site
from streaming_assets.published.manifest import SnapshotError
from streaming_assets.text import harmless


def register(server: flask.Flask, site: Site) -> None:
    """Serve the files."""

    @server.get("/download/<chart>.csv")
    def download(chart: str) -> flask.Response:
        charts = {one.name: one for one in all_charts()}
        if chart not in charts:
            return _plain(f"There is no {chart}.csv; there are {', '.join(charts)}.\n", 404)
        try:
            snapshot = site.reader.current()
            view = board.view_of(charts[chart].page, snapshot, flask.request.query_string.decode())
            if view is None:
                return _plain("Nothing has been published for this chart yet.\n", 404)
            text = io.StringIO()
            csv.writer(text, lineterminator="\r\n").writerows(
                map(harmless, charts[chart].rows(snapshot, view))
            )
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
