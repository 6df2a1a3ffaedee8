"""The music page, dark: a map, genres, artists and songs, under a date range and a state."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import board, formats, parts, streams
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import Extent, View
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.published.tables import ALL_STATES


def render(site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page, filled, as the query part of its address asks for it."""
    extent = board.extent("music", snapshot)
    if extent is None:
        return parts.unfilled("streams")
    names = streams.state_names(snapshot)
    view = View.of_address(address, extent, names)
    return html.Div(
        [
            *parts.stores("music", snapshot, view),
            html.Div(parts.notices(view), id="notices"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1("Music charts"),
                            html.P(_subtitle(snapshot, view), id="music-subtitle", className="subtitle"),
                        ],
                        className="page-head",
                    ),
                    html.Div(_filters(view, extent, names), className="filter-row"),
                ],
                className="filters",
            ),
            board.cards("music", snapshot, view),
        ]
    )


def _subtitle(snapshot: Snapshot, view: View) -> str:
    count = streams.count(snapshot, view)
    when = formats.span(view.first, view.last)
    return f"{formats.count(count)} streams in {streams.where(snapshot, view)}, {when}"


def _filters(view: View, extent: Extent, names: dict[str, str]) -> list[Any]:
    return [
        parts.date_range("music-days", view, extent.first.isoformat(), extent.last.isoformat()),
        dmc.Select(
            id="music-state",
            label="State",
            data=[
                {"value": code, "label": name} for code, name in ({ALL_STATES: "All states"} | names).items()
            ],
            value=view.state,
            searchable=True,
            allowDeselect=False,
            selectFirstOptionOnChange=True,
            leftSection=parts.icon("pin"),
            nothingFoundMessage="No such state",
            className="state-select",
            maxDropdownHeight=280,
        ),
    ]


def register(app: Dash, site: Site) -> None:
    """The page's callbacks."""
    board.register(app, site, "music")

    @app.callback(
        Output("music-subtitle", "children"),
        *board.outputs("music"),
        Output("music-days", "maxDate"),
        Output("failure", "children", allow_duplicate=True),
        Input("music-days", "value"),
        Input("music-state", "value"),
        Input(parts.SNAPSHOT | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def redraw(days: list[str | None], state: str | None, _snapshot: int) -> tuple[Any, ...]:
        snapshot = site.reader.current()
        extent = board.extent("music", snapshot)
        view = extent and View.of_controls(days, extent, state)
        if extent is None or view is None:
            raise PreventUpdate
        return (
            _subtitle(snapshot, view),
            *board.values("music", snapshot, view),
            extent.last.isoformat(),
            None,
        )

    @app.callback(
        *parts.moved("music"),
        Input("music-days", "value"),
        Input("music-state", "value"),
        Input("songs-search", "value"),
        State(parts.ADDRESS | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def readdress(
        days: list[str | None], state: str | None, search: str | None, address: str
    ) -> tuple[str, str]:
        extent = board.extent("music", site.reader.current())
        view = extent and View.of_controls(days, extent, state, search)
        if view is None or view.address() == address:
            raise PreventUpdate
        return view.address(), view.address()
