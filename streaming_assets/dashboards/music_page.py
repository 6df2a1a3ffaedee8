"""The music page, dark: a map, genres, artists and songs, under a date range and a state."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import music_queries as music
from streaming_assets.dashboards import parts, songs_table
from streaming_assets.dashboards.music_charts import charts
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.state_map import MAP_OUTPUTS, map_updates, state_map
from streaming_assets.dashboards.tables import ALL_STATES
from streaming_assets.dashboards.views import Extent, View


def render(site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page, filled, as the query part of its address asks for it."""
    extent = music.extent(snapshot)
    if extent is None:
        return parts.unfilled("streams")
    names = music.state_names(snapshot)
    view = View.of_address(address, extent, names)
    subtitle, genres_card, artists_card = charts(snapshot, view, names)
    map_card = parts.card(
        "states",
        "Streams by state",
        "Choose a state to see its charts; choose it again to see all.",
        state_map(music.streams_by_state(snapshot, view), view.state),
        view,
    )
    return html.Div(
        [
            *parts.stores("music", snapshot, view),
            html.Div(parts.notices(view), id="notices"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1("Music charts"),
                            html.P(subtitle, id="music-subtitle", className="subtitle"),
                        ],
                        className="page-head",
                    ),
                    html.Div(_filters(view, extent, names), className="filter-row"),
                ],
                className="filters",
            ),
            html.Div(
                [
                    html.Div(map_card, className="span-7"),
                    html.Div(genres_card, id="genres-card", className="span-5"),
                    html.Div(artists_card, id="artists-card", className="span-5"),
                    html.Div(songs_table.songs_card(view), id="songs-card", className="span-7"),
                ],
                className="music-grid",
            ),
        ]
    )


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
    songs_table.register(app, site)

    @app.callback(
        Output("music-subtitle", "children"),
        Output("genres-card", "children"),
        Output("artists-card", "children"),
        *MAP_OUTPUTS,
        Output("states-download", "href"),
        Output("music-days", "maxDate"),
        Output("failure", "children", allow_duplicate=True),
        Input("music-days", "value"),
        Input("music-state", "value"),
        Input(parts.SNAPSHOT | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def redraw(days: list[str | None], state: str | None, _snapshot: int) -> tuple[Any, ...]:
        snapshot = site.reader.current()
        extent = music.extent(snapshot)
        view = extent and View.of_controls(days, extent, state)
        if extent is None or view is None:
            raise PreventUpdate
        return (
            *charts(snapshot, view, music.state_names(snapshot)),
            *map_updates(music.streams_by_state(snapshot, view), view.state),
            parts.download_address("states", view),
            extent.last.isoformat(),
            None,
        )

    @app.callback(
        Output(parts.ADDRESS | {"page": "music"}, "data"),
        Output("songs-download", "href"),
        Input("music-days", "value"),
        Input("music-state", "value"),
        Input("songs-search", "value"),
        prevent_initial_call=True,
    )
    def readdress(days: list[str | None], state: str | None, search: str | None) -> tuple[Any, ...]:
        extent = music.extent(site.reader.current())
        view = extent and View.of_controls(days, extent, state, search)
        if view is None:
            raise PreventUpdate
        return view.address(), parts.download_address("songs", view)

    app.clientside_callback(
        ClientsideFunction("pages", "chooseState"),
        Output("music-state", "value"),
        Input({"type": "state", "code": ALL}, "n_clicks"),
        State("music-state", "value"),
        prevent_initial_call=True,
    )
