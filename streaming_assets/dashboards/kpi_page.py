"""The KPI page, light: four tiles of the newest week, and two charts under a date range."""

from typing import Any

from dash import Dash, Input, Output, State, html, no_update
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import board, parts
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.kpi_tiles import subtitle, tiles
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot


def render(site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page, filled, as the query part of its address asks for it."""
    extent = board.extent("kpi", snapshot)
    weeks = kpi.weeks(snapshot)
    if extent is None:
        return parts.unfilled("users")
    view = View.of_address(address, extent)
    return html.Div(
        [
            *parts.stores("kpi", snapshot, view),
            html.Div(parts.notices(view), id="notices"),
            html.Div(
                [
                    html.H1("Business KPIs"),
                    html.P(subtitle(weeks), id="kpi-week", className="subtitle"),
                ],
                className="page-head",
            ),
            html.Div(tiles(weeks, site.monthly_price), id="kpi-tiles", className="tiles"),
            html.Div(
                [
                    html.H2("Day by day", className="section-title"),
                    parts.date_range("kpi-days", view, extent.first.isoformat(), extent.last.isoformat()),
                ],
                className="filters",
            ),
            board.cards("kpi", snapshot, view),
        ]
    )


def register(app: Dash, site: Site) -> None:
    """The page's callbacks."""

    board.register(app, site, "kpi")

    @app.callback(
        *board.outputs("kpi"),
        Output("kpi-days", "maxDate"),
        *parts.moved("kpi"),
        Output("failure", "children", allow_duplicate=True),
        Input("kpi-days", "value"),
        Input(parts.SNAPSHOT | {"page": "kpi"}, "data"),
        State(parts.ADDRESS | {"page": "kpi"}, "data"),
        prevent_initial_call=True,
    )
    def redraw(days: list[str | None], _snapshot: int, address: str) -> tuple[Any, ...]:
        snapshot = site.reader.current()
        extent = board.extent("kpi", snapshot)
        view = extent and View.of_controls(days, extent)
        if extent is None or view is None:
            raise PreventUpdate
        to = no_update if view.address() == address else view.address()
        return *board.values("kpi", snapshot, view), extent.last.isoformat(), to, to, None

    @app.callback(
        Output("kpi-tiles", "children"),
        Output("kpi-week", "children"),
        Input(parts.SNAPSHOT | {"page": "kpi"}, "data"),
        prevent_initial_call=True,
    )
    def new_week(_snapshot: int) -> tuple[Any, ...]:
        weeks = kpi.weeks(site.reader.current())
        return tiles(weeks, site.monthly_price), subtitle(weeks)
