"""Streams by state: a map of the USA, one square button a state, coloured by its streams."""

from dataclasses import replace
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html

from streaming_assets.dashboards import formats, parts, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Live, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.states import NAMES, TILES
from streaming_assets.dashboards.streams import Slice
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "states", "Streams by state"
SHADES = 6  # of the map, in the style sheet, beside that of no streams, 0


_TILE = {"type": "state", "code": ALL}
# Each tile stays the same element, so that a click does not lose the focus.
OUTPUTS = (
    Output(_TILE, "className"),
    Output(_TILE, "aria-label"),
    Output(_TILE, "data-tip"),
    Output(_TILE, "aria-pressed"),
    Output("map-most", "children"),
    Output("states-rows", "children"),
    Output("states-detail", "children"),
    Output("states-download", "href"),
)


def values(snapshot: Snapshot, view: View) -> tuple[Any, ...]:
    """The values of `OUTPUTS`."""
    by_state = streams.streams_by_state(snapshot, view)
    looks = _looks(by_state, view.state)
    link = parts.download_address("states", view.address())
    return (
        *([look[key] for look in looks] for key in looks[0]),
        _most(by_state),
        parts.table_rows(streams.as_rows(_named(snapshot, by_state))),
        _detail(snapshot, view),
        link,
    )


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The map, its scale, and its table."""
    by_state = streams.streams_by_state(snapshot, view)
    table = streams.as_table(NAME, TITLE, "State", _named(snapshot, by_state))
    return Drawn(html.Div([state_map(by_state, view.state), table]), _detail(snapshot, view))


def _named(snapshot: Snapshot, by_state: list[Slice]) -> list[Slice]:
    names = streams.state_names(snapshot)
    return [replace(part, name=names[part.name]) for part in by_state]


def _detail(snapshot: Snapshot, view: View) -> str:
    first = next(iter(streams.streams_by_state(snapshot, view)), None)
    compared = first and against_before(
        snapshot, view, streams.STATES, lambda of: streams.count(snapshot, replace(of, state=first.name))
    )
    told = "Choose a state to see its charts; choose it again to see all"
    return f"{told}; {streams.state_names(snapshot)[first.name]}{compared}" if first and compared else told


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All states that have streams."""
    by_state = streams.streams_by_state(snapshot, view)
    yield "state_code", "state", "streams", "share"
    for part, named in zip(by_state, _named(snapshot, by_state), strict=True):
        yield part.name, named.name, part.streams, part.share


def register(app: Dash, _site: Site) -> None:
    """A click on a state chooses it in the page's list."""
    app.clientside_callback(
        ClientsideFunction("pages", "chooseState"),
        Output("music-state", "value"),
        Input(_TILE, "n_clicks"),
        State("music-state", "value"),
        prevent_initial_call=True,
    )


def state_map(by_state: list[Slice], chosen: str) -> html.Div:
    """The map.

    Args:
        by_state: streams of each state, by code; states without streams may be left out.
        chosen: code of the state that the page shows, or anything else if it shows all.
    """
    return html.Div(
        [
            html.Div(
                [_tile(code, look) for code, look in zip(TILES, _looks(by_state, chosen), strict=True)],
                className="state-map",
                role="group",
                **parts.aria(label="States of the USA"),
            ),
            html.Div(
                [
                    html.Span("0"),
                    html.Div([html.Span(className=f"shade-{shade}") for shade in range(SHADES + 1)]),
                    html.Span(_most(by_state), id="map-most"),
                ],
                className="map-scale",
                **parts.aria(hidden="true"),
            ),
        ]
    )


def _tile(code: str, look: dict[str, Any]) -> html.Button:
    column, row = TILES[code]
    return html.Button(
        code,
        id={"type": "state", "code": code},
        type="button",
        style={"gridColumn": column + 1, "gridRow": row + 1},
        **look,
    )


def _looks(by_state: list[Slice], chosen: str) -> list[dict[str, Any]]:
    """What changes of each tile, in the order of `TILES`."""
    slices = {part.name: part for part in by_state}
    most = max((part.streams for part in by_state), default=0)
    return [_look(code, slices.get(code), most, code == chosen) for code in TILES]


def _look(code: str, part: Slice | None, most: int, chosen: bool) -> dict[str, Any]:
    told = f"{formats.count(part.streams)} streams, {part.share:.1%}" if part else "no streams"
    shade, left, right = _shade(part.streams if part else 0, most), TILES[code][0] < 2, TILES[code][0] > 8
    return {
        "className": f"state shade-{shade}" + (" state-left" if left else " state-right" if right else ""),
        "aria-label": f"{code}, {NAMES[code]}: {told}",
        "data-tip": f"{NAMES[code]}\n{told}",
        "aria-pressed": str(chosen).lower(),
    }


def _most(by_state: list[Slice]) -> str:
    return f"{formats.count(max((part.streams for part in by_state), default=0))} streams"


def _shade(streams: int, most: int) -> int:
    """Equal steps of the square root, since a few states have most of the streams; 0 for none."""
    return min(int((streams / most) ** 0.5 * SHADES) + 1, SHADES) if streams else 0


CHART = Chart(
    NAME,
    TITLE,
    "music",
    10,
    7,
    (streams.STATES,),
    draw,
    rows,
    Live(OUTPUTS, values),
    register,
    "listens",
    follows=("genre",),
)
