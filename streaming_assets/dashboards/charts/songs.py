"""Top songs: a table that is ranked, searched, sorted and paged on the server."""

from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import board, compare, formats, parts, song_ranking
from streaming_assets.dashboards.chart import Chart, Drawn, Live, Rows
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

PAGE_SIZE = 12
SEARCH = "songs-search"
GRID_THEME = """themeQuartz.withParams({
    browserColorScheme: 'inherit', backgroundColor: 'var(--surface)', foregroundColor: 'var(--ink)',
    headerBackgroundColor: 'var(--surface)', headerTextColor: 'var(--soft)', borderColor: 'var(--line)',
    rowHoverColor: 'var(--accent-wash)', accentColor: 'var(--accent)',
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


def draw(_snapshot: Snapshot, view: View) -> Drawn:
    """The table, which asks for its rows itself, and the search."""
    search = dmc.TextInput(
        id=SEARCH,
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
    return Drawn(grid, html.Span("", id="songs-found", role="status"), search)


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All songs that the search finds."""
    yield "rank", "title", "artist", "streams"
    page = song_ranking.songs(snapshot, view, 0, None)
    yield from ((song.rank, song.title, song.artist, song.streams) for song in page.songs)


def told(snapshot: Snapshot, view: View, found: int) -> str:
    """How many songs were found, against the days before if all were sought."""
    songs = f"{formats.count(found)} songs" if found else "No song matches"
    if view.search:
        return f"{songs} with “{view.search}”"
    return songs + compare.against_before(
        snapshot, view, song_ranking.SONGS, lambda of: song_ranking.played(snapshot, of)
    )


def register(app: Dash, site: Site) -> None:
    """The table's callbacks."""

    @app.callback(
        Output("songs-grid", "getRowsResponse"),
        Output("songs-found", "children"),
        Input("songs-grid", "getRowsRequest"),
        State(parts.ADDRESS | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def some_rows(request: dict[str, Any] | None, address: str) -> tuple[Any, Any]:
        snapshot = site.reader.current()
        view = board.view_of(CHART.page, snapshot, address)
        if request is None or view is None:
            raise PreventUpdate
        order = request["sortModel"][0] if request["sortModel"] else {"colId": "rank", "sort": "asc"}
        page = song_ranking.songs(
            snapshot, view, request["startRow"], request["endRow"], order["colId"], order["sort"] == "desc"
        )
        return {
            "rowData": [vars(song) | {"share": song.streams / page.most} for song in page.songs],
            "rowCount": page.found,
        }, told(snapshot, view, page.found)

    app.clientside_callback(
        ClientsideFunction("pages", "reloadSongs"),
        Input(parts.ADDRESS | {"page": "music"}, "data"),
        Input(parts.SNAPSHOT | {"page": "music"}, "data"),
        State("songs-grid", "id"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("songs-download", "href"),
        Input(parts.ADDRESS | {"page": "music"}, "data"),
        prevent_initial_call=True,
    )
    def link(address: str) -> str:
        return parts.download_address("songs", address)


CHART = Chart(
    "songs",
    "Top songs",
    "music",
    40,
    7,
    (song_ranking.SONGS, song_ranking.DIM),
    draw,
    rows,
    Live((), lambda _snapshot, _view: ()),  # the table asks anew when the address changes
    register,
    "listens",
    SEARCH,
    follows=("genre",),
)
