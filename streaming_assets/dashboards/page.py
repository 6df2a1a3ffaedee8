"""A page, filled, and what changes on it when its filters or the snapshot do."""

from datetime import date
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update, set_props
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import board, marks, parts, streams
from streaming_assets.dashboards.charts import charts_of
from streaming_assets.dashboards.pages import Page
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import NEWEST_DAY, PRESETS, Extent, View
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.published.tables import ALL_STATES

CUSTOM = "custom"


def render(page: Page, site: Site, snapshot: Snapshot, address: str) -> Any:
    """The page as the query part of its address asks for it."""
    extent, view = board.extent(page.name, snapshot), board.view_of(page.name, snapshot, address)
    if extent is None or view is None:
        return parts.unfilled(page.what)
    names = streams.state_names(snapshot)
    head = html.Div(
        [
            html.H1(page.heading),
            html.P(page.subtitle(snapshot, view), id=f"{page.name}-subtitle", className="subtitle"),
        ],
        className="page-head",
    )
    above, beside = [], head
    if page.tiles:
        above = [head, html.Div(page.tiles(site, snapshot), id=f"{page.name}-tiles", className="tiles")]
        beside = html.H2("Day by day", className="section-title")
    return html.Div(
        [
            *parts.stores(page.name, snapshot, view),
            html.Div(parts.notices(view), id="notices"),
            *above,
            html.Div(
                [
                    beside,
                    html.Div(_filters(page, view, extent, names, site.now().date()), className="filter-row"),
                ],
                className="filters",
            ),
            html.Div(
                _chips(page, view),
                id=f"{page.name}-chips",
                className="chips",
                tabIndex=-1,
                role="group",
                **parts.aria(label="Filters by marks of charts"),
            ),
            board.cards(page.name, snapshot, view),
        ]
    )


def _chips(page: Page, view: View) -> list[html.Button]:
    return parts.chips(page.name, view, marks.labels(view))


def _presets(extent: Extent, today: date) -> Any:
    """What the control of the newest days offers; where data ends on another day, the newest one is not today."""
    named = PRESETS | ({NEWEST_DAY: "Today"} if extent.last == today else {})
    return [{"value": str(count), "label": label} for count, label in named.items()] + [
        {"value": CUSTOM, "label": "Custom"}
    ]


def _filters(page: Page, view: View, extent: Extent, names: dict[str, str], today: date) -> list[Any]:
    days = [
        dmc.SegmentedControl(
            id=f"{page.name}-preset",
            data=_presets(extent, today),
            value=str(view.preset or CUSTOM),
            size="xs",
            className="presets",
            **parts.aria(label="The newest days"),
        ),
        parts.date_range(f"{page.name}-days", view, extent.first.isoformat(), extent.last.isoformat()),
    ]
    if not page.by_state:
        return days
    states = {ALL_STATES: "All states"} | names
    return [
        *days,
        dmc.Select(
            id=f"{page.name}-state",
            label="State",
            data=[{"value": code, "label": name} for code, name in states.items()],
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


def register(app: Dash, site: Site, page: Page) -> None:
    """The page's callbacks, and those of its charts."""
    for chart in charts_of(page.name):
        if chart.register:
            chart.register(app, site)
    parts.register_marks(
        app, page.name, [f"{chart.name}-chart" for chart in charts_of(page.name) if chart.sets]
    )
    days, preset = f"{page.name}-days", f"{page.name}-preset"
    controls = {
        "days": Input(days, "value"),
        "preset": Input(preset, "value"),
        "marks": Input(parts.marks_of(page.name), "data"),
    }
    if page.by_state:
        controls["state"] = Input(f"{page.name}-state", "value")
    songs = [chart.song for chart in charts_of(page.name) if chart.song]
    if songs:
        controls["song"] = Input(songs[0], "value")
    searches = [chart.search for chart in charts_of(page.name) if chart.search]
    address = State(parts.ADDRESS | {"page": page.name}, "data")
    to_address, to_moved = parts.moved(page.name)

    def viewed(chosen: dict[str, Any]) -> tuple[Snapshot, Extent, View]:
        snapshot = site.reader.current()
        extent = board.extent(page.name, snapshot)
        view = extent and View.of_controls(extent=extent, has_chosen_days=ctx.triggered_id == days, **chosen)
        if extent is None or view is None:
            raise PreventUpdate
        return snapshot, extent, view

    @app.callback(
        output={
            "subtitle": Output(f"{page.name}-subtitle", "children"),
            "charts": board.outputs(page.name),
            "newest": Output(days, "maxDate"),
            "days": Output(days, "value"),
            "presets": Output(preset, "data"),
            "preset": Output(preset, "value"),
            "chips": Output(f"{page.name}-chips", "children"),
            "address": to_address,
            "moved": to_moved,
        },
        inputs={
            "chosen": controls | {"search": State(one, "value") for one in searches},  # noqa: B035
            "_snapshot": Input(parts.SNAPSHOT | {"page": page.name}, "data"),
            "shown": address,
        },
        prevent_initial_call=True,
    )
    def redraw(chosen: dict[str, Any], _snapshot: int, shown: str) -> dict[str, Any]:
        snapshot, extent, view = viewed(chosen)
        to = no_update if view.address() == shown else view.address()
        # As an Output, which stands outside the page, it would have each page drawn again right after it is shown.
        set_props("failure", {"children": None})
        return {
            "subtitle": page.subtitle(snapshot, view),
            "charts": board.values(page.name, snapshot, view),
            "newest": extent.last.isoformat(),
            "days": [view.first.isoformat(), view.last.isoformat()],
            "presets": _presets(extent, site.now().date()),
            "preset": str(view.preset or CUSTOM),
            "chips": _chips(page, view),
            "address": to,
            "moved": to,
        }

    for search in searches:  # of which no other chart knows

        @app.callback(
            Output(to_address.component_id, "data", allow_duplicate=True),
            Output(to_moved.component_id, "data", allow_duplicate=True),
            inputs={
                "chosen": {
                    name: State(one.component_id, one.component_property) for name, one in controls.items()
                }
                | {"search": Input(search, "value")},
                "shown": address,
            },
            prevent_initial_call=True,
        )
        def readdress(chosen: dict[str, Any], shown: str) -> tuple[str, str]:
            _, _, view = viewed(chosen)
            if view.address() == shown:
                raise PreventUpdate
            return view.address(), view.address()

    if page.tiles:
        tiles = page.tiles

        @app.callback(
            Output(f"{page.name}-tiles", "children"),
            Input(parts.SNAPSHOT | {"page": page.name}, "data"),
            prevent_initial_call=True,
        )
        def retile(_snapshot: int) -> list[Any]:
            return tiles(site, site.reader.current())
