"""The music page, dark: a map, genres, artists and songs, under a date range and a state."""

from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards import music_queries as music
from streaming_assets.dashboards.music_queries import Slice
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.snapshot import Snapshot
from streaming_assets.dashboards.state_map import MAP_OUTPUTS, map_updates, state_map
from streaming_assets.dashboards.tables import ALL_STATES
from streaming_assets.dashboards.views import Extent, View

GENRE_COLORS = ("#a78bfa", "#f472b6", "#38bdf8", "#34d399", "#fbbf24")
OTHERS_COLOR = "#7b88a1"
PAGE_SIZE = 12
GRID_THEME = """themeQuartz.withParams({
    browserColorScheme: 'dark',
    backgroundColor: '#141826', foregroundColor: '#e8ecf5', headerBackgroundColor: '#141826',
    headerTextColor: '#aab4c8', borderColor: '#262d42', rowHoverColor: '#1d2336', accentColor: '#a78bfa',
    fontFamily: 'inherit', fontSize: 14, headerFontWeight: 600, wrapperBorder: false, rowHeight: 41,
    headerHeight: 40, cellHorizontalPadding: 9
})"""
COLUMNS = [
    {"field": "rank", "headerName": "#", "width": 58, "type": "rightAligned"},
    {"field": "title", "headerName": "Title", "flex": 3, "minWidth": 90, "tooltipField": "title"},
    {"field": "artist", "headerName": "Artist", "flex": 2, "minWidth": 80, "tooltipField": "artist"},
    {
        "field": "streams",
        "headerName": "Streams",
        "width": 92,
        "type": "rightAligned",
        "valueFormatter": {"function": "grouped(params.value)"},
        "cellStyle": {"function": "shaded(params)"},
        "sortingOrder": ["desc", "asc", None],
    },
]


def render(site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page, filled, as the query part of its address asks for it."""
    extent = music.extent(snapshot)
    if extent is None:
        return parts.nothing("The snapshot has no streams yet. This page fills as soon as it has.")
    names = music.state_names(snapshot)
    view = View.of_address(address, extent, names)
    subtitle, genres_card, artists_card = _charts(snapshot, view, names)
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
                    html.Div(_songs_card(view), id="songs-card", className="span-7"),
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


def _charts(snapshot: Snapshot, view: View, names: dict[str, str]) -> tuple[str, Any, Any]:
    """The page's subtitle, genres, and artists."""
    where = "all states" if view.state == ALL_STATES else names.get(view.state, view.state)
    when = formats.span(view.first, view.last)
    genres = music.genres(snapshot, view)
    streams = sum(part.streams for part in genres)
    return (
        f"{formats.count(streams)} streams in {where}, {when}",
        _genres_card(genres, streams, view, where, when),
        _artists_card(music.artists(snapshot, view), view, where, when),
    )


def _genres_card(genres: list[Slice], streams: int, view: View, where: str, when: str) -> html.Div:
    title = "Top genres"
    if not genres:
        return parts.card("genres", title, "", _no_streams(where, when), view)
    colors = [*GENRE_COLORS[: len(genres)], OTHERS_COLOR]
    slices: Any = [
        {"name": part.name, "value": part.streams, "color": color}
        for part, color in zip(genres, colors, strict=False)
    ]
    donut = dmc.DonutChart(
        id="genres-chart",
        data=slices,
        size="208",
        thickness=28,
        paddingAngle=2,
        strokeWidth=0,
        chartLabel=formats.compact(streams),
        tooltipDataSource="segment",
        pieChartProps={"accessibilityLayer": False},  # the legend tells the same, and better
        pieProps={"isAnimationActive": False, "rootTabIndex": -1},
    )
    legend = html.Ul(
        [
            html.Li(
                [
                    html.Span(className="swatch", style={"background": color}),
                    html.Span(part.name, className="legend-name"),
                    html.Span(formats.percent(part.share, 1), className="legend-share"),
                ],
                **parts.aria(data_streams=str(part.streams)),
            )
            for part, color in zip(genres, colors, strict=False)
        ],
        className="legend",
    )
    return parts.card(
        "genres",
        title,
        f"Share of streams in {where}",
        html.Div(
            [html.Div(donut, className="donut", **parts.aria(hidden="true")), legend], className="genres"
        ),
        view,
    )


def _artists_card(artists: list[Slice], view: View, where: str, when: str) -> html.Div:
    title = "Top artists"
    if not artists:
        return parts.card("artists", title, "", _no_streams(where, when), view)
    most = artists[0].streams
    bars = html.Ol(
        [
            html.Li(
                [
                    html.Span(str(place), className="bar-rank"),
                    html.Div(
                        [
                            html.Div(
                                [
                                    html.Span(part.name, className="bar-name"),
                                    html.Span(formats.count(part.streams), className="bar-value"),
                                ],
                                className="bar-line",
                            ),
                            html.Div(
                                html.Div(style={"width": f"{part.streams / most:.2%}"}, className="bar-fill"),
                                className="bar-track",
                                **parts.aria(hidden="true"),
                            ),
                        ],
                        className="bar-body",
                    ),
                ],
                title=f"{part.name}: {formats.count(part.streams)} streams, {part.share:.1%} of all",
            )
            for place, part in enumerate(artists, 1)
        ],
        className="bars",
    )
    return parts.card("artists", title, f"Streams in {where}", bars, view)


def _songs_card(view: View) -> html.Div:
    search = dmc.TextInput(
        id="songs-search",
        value=view.search,
        placeholder="Title or artist",
        debounce=250,
        leftSection=parts.icon("search"),
        className="songs-search",
        **parts.aria(label="Search songs by title or artist"),
    )
    grid = dag.AgGrid(
        id="songs-grid",
        columnDefs=COLUMNS,
        defaultColDef={"sortable": True, "resizable": False, "suppressMovable": True},
        rowModelType="infinite",
        dashGridOptions={
            "theme": {"function": GRID_THEME},
            "pagination": True,
            "paginationPageSize": PAGE_SIZE,
            "paginationPageSizeSelector": False,
            "cacheBlockSize": PAGE_SIZE,
            "maxBlocksInCache": 4,
            "domLayout": "autoHeight",
            "suppressCellFocus": False,
            "enableBrowserTooltips": True,
            "animateRows": False,
        },
    )
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.H2("Top songs", id="songs-title"),
                            html.P("", id="songs-found", className="detail", role="status"),
                        ]
                    ),
                    html.Div(
                        [search, parts.download("songs", "Top songs", view)],
                        className="card-actions",
                    ),
                ],
                className="card-head",
            ),
            grid,
        ],
        id="songs",
        className="card",
        role="group",
        **parts.aria(labelledby="songs-title"),
    )


def _no_streams(where: str, when: str) -> html.Div:
    return parts.nothing(f"No streams in {where}, {when}. Choose other days or another state.")


def register(app: Dash, site: Site) -> None:
    """The page's callbacks."""

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
            *_charts(snapshot, view, music.state_names(snapshot)),
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

    @app.callback(
        Output("songs-grid", "getRowsResponse"),
        Output("songs-found", "children"),
        Input("songs-grid", "getRowsRequest"),
        State(parts.ADDRESS | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def rows(request: dict[str, Any] | None, address: str) -> tuple[Any, Any]:
        snapshot = site.reader.current()
        extent = music.extent(snapshot)
        if request is None or extent is None:
            raise PreventUpdate
        view = View.of_address(address, extent, music.state_names(snapshot))
        order = request["sortModel"][0] if request["sortModel"] else {"colId": "rank", "sort": "asc"}
        page = music.songs(
            snapshot, view, request["startRow"], request["endRow"], order["colId"], order["sort"] == "desc"
        )
        found = f"{formats.count(page.found)} songs" if page.found else "No song matches"
        of = f" with “{view.search}”" if view.search else ""
        return {
            "rowData": [vars(song) | {"share": song.streams / page.most} for song in page.songs],
            "rowCount": page.found,
        }, found + of

    app.clientside_callback(
        ClientsideFunction("pages", "reloadSongs"),
        Input(parts.ADDRESS | {"page": "music"}, "data"),
        Input(parts.SNAPSHOT | {"page": "music"}, "data"),
        State("songs-grid", "id"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("pages", "chooseState"),
        Output("music-state", "value"),
        Input({"type": "state", "code": ALL}, "n_clicks"),
        State("music-state", "value"),
        prevent_initial_call=True,
    )
