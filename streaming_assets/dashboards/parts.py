"""Components that pages are made of."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html

from streaming_assets.dashboards.metrics import metrics, models
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

ADDRESS = {"type": "address"}  # ids of what a page holds, to which its name is added as "page"
MOVED = {"type": "moved"}
SNAPSHOT = {"type": "snapshot"}


def aria(**attributes: str) -> Any:
    """`label="x"` as `aria-label="x"`, `data_value="1"` as `data-value="1"`."""
    return {
        name.replace("_", "-") if name.startswith("data_") else f"aria-{name}": value
        for name, value in attributes.items()
    }


def stores(page: str, snapshot: Snapshot, view: View) -> list[dcc.Store]:
    """What an open page knows of itself: the snapshot and address it shows, and where its filters took it."""
    return [
        dcc.Store(id=SNAPSHOT | {"page": page}, data=snapshot.manifest.snapshot),
        dcc.Store(id=ADDRESS | {"page": page}, data=view.address()),
        dcc.Store(id=MOVED | {"page": page}),
        dcc.Store(id=marks_of(page), data=dict(view.marks)),
    ]


def moved(page: str) -> tuple[Output, Output]:
    """What a change of the page's filters sets; `no_update` where it leaves the address as it was."""
    return Output(ADDRESS | {"page": page}, "data"), Output(MOVED | {"page": page}, "data")


def icon(name: str) -> html.Span:
    """A decorative icon, drawn by the style sheet."""
    return html.Span(className=f"icon icon-{name}", **aria(hidden="true"))


def hidden(text: str) -> html.Span:
    """Text for screen readers only."""
    return html.Span(text, className="visually-hidden")


def download(chart: str, title: str, view: View) -> html.A:
    """The link to the rows of a chart as CSV."""
    return html.A(
        [icon("download"), "CSV", hidden(f": {title}")],
        href=download_address(chart, view.address()),
        className="download",
        download="",
        id=f"{chart}-download",
    )


def download_address(chart: str, query: str) -> str:
    """Where the rows of a chart are to be had as CSV; `query` is that of the page's address."""
    return f"/download/{chart}.csv{query}"


def about(title: str, metric: str | None, tables: Iterable[str] = ()) -> html.Details:
    """An (i), behind which stands what the metric is, and what the tables are that it is counted from."""
    told = [html.P(metrics()[metric]["description"])] if metric else []
    told += [html.P([html.Code(table), f": {models()[table]['description']}"]) for table in tables]
    return html.Details(
        [
            html.Summary([icon("info"), hidden(f"How “{title}” is defined")]),
            html.Div(told, className="definition"),
        ],
        className="about",
    )


def card(
    name: str, title: str, detail: Any, body: Any, view: View, extra: Any, explained: html.Details
) -> html.Div:
    """A chart in its frame.

    Args:
        name: of the chart; its id, and that of its CSV file.
        title: the heading.
        detail: one line below it.
        body: the chart.
        view: what it shows, for the download.
        extra: stands left of the download.
        explained: what its numbers are.
    """
    heading = f"{name}-title"
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.H2(title, id=heading),
                            html.P(detail, id=f"{name}-detail", className="detail"),
                        ]
                    ),
                    html.Div([extra, explained, download(name, title, view)], className="card-actions"),
                ],
                className="card-head",
            ),
            body,
        ],
        id=name,
        className="card",
        role="group",
        **aria(labelledby=heading),
    )


def bar(name: str, value: str, share: float, choice: html.Button | None = None) -> html.Div:
    """A lying bar below its name and number.

    Args:
        name: its name.
        value: its number.
        share: its length; of 1 it is the longest.
        choice: the name as a button, if a click on it filters something.
    """
    named = choice or html.Span(name, className="bar-name")
    return html.Div(
        [
            html.Div(
                [named, html.Span(value, className="bar-value")],
                className="bar-line",
            ),
            html.Div(
                html.Div(style={"width": f"{share:.2%}"}, className="bar-fill"),
                className="bar-track",
                **aria(hidden="true"),
            ),
        ],
        className="bar-body",
    )


def choice(kind: str, label: str, value: str) -> html.Button:
    """The button of a bar that puts a value into a control; see `register_choice`."""
    return html.Button(label, id={"type": kind, "value": value}, type="button", className="bar-name choice")


def register_choice(app: Dash, kind: str, control: str) -> None:
    """A click on a `choice` puts its value into a control."""
    app.clientside_callback(
        ClientsideFunction("pages", "choose"),
        Output(control, "value"),
        Input({"type": kind, "value": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )


def shows_days(page: str, name: str) -> Callable[[Dash, Any], None]:
    """What registers that a click on what stands for days shows these.

    That are the chart's `days_button`s, and the points of its chart of dash-mantine-components, if it has one,
    each of which says `from` and `to`. A mouse alone gets at points; buttons are there for all.

    Args:
        page: the page's name.
        name: the chart's.
    """

    def register(app: Dash, _site: Any) -> None:
        for clicked in (
            Input(f"{name}-chart", "clickData"),
            Input({"type": name, "value": ALL}, "n_clicks"),
        ):
            app.clientside_callback(
                ClientsideFunction("pages", "chooseDays"),
                Output(f"{page}-days", "value", allow_duplicate=True),
                clicked,
                prevent_initial_call=True,
            )

    return register


def days_button(name: str, label: str, first: date, last: date) -> html.Button:
    """A button of a chart that shows these days; see `shows_days`."""
    return html.Button(
        label,
        id={"type": name, "value": f"{first}/{last}"},
        type="button",
        className="choice",
        title="Show these days alone",
    )


def marks_of(page: str) -> str:
    """The id of what holds the marks that a page is filtered by, by name; see marks.py."""
    return f"{page}-marks"


def mark_id(page: str, place: str, **sets: str) -> dict[str, str]:
    """The id of what by a click filters its page.

    Args:
        page: the page's name.
        place: where it stands, since one filter may be set in several places.
        sets: names and values of the marks.
    """
    return {"type": "mark", "page": page, "place": place, "sets": urlencode(sets)}


def is_chosen(view: View, **sets: str) -> str:
    """Whether the view is filtered by these marks, as `aria-pressed` has it."""
    return str(all(view.mark(name) == value for name, value in sets.items())).lower()


def mark_button(
    page: str, place: str, label: Any, view: View, look: str = "choice", **sets: str
) -> html.Button:
    """A button of a chart that filters its page, or, if it does, shows all again; see `mark_id`."""
    return html.Button(
        label,
        id=mark_id(page, place, **sets),
        type="button",
        className=look,
        title="Filter the page by it",
        **aria(pressed=is_chosen(view, **sets)),
    )


def register_marks(app: Dash, page: str, charts: Iterable[str]) -> None:
    """What a click on a page's marks does: on all with a `mark_id`, and on points of charts that say what they set.

    Args:
        app: the app.
        page: the page's name.
        charts: ids of charts of dash-mantine-components, whose points a mouse alone gets at.
    """
    for clicked in (
        Input({"type": "mark", "page": page, "place": ALL, "sets": ALL}, "n_clicks"),
        *(Input(chart, "clickData") for chart in charts),
    ):
        app.clientside_callback(
            ClientsideFunction("pages", "chooseMark"),
            Output(marks_of(page), "data", allow_duplicate=True),
            clicked,
            State(marks_of(page), "data"),
            prevent_initial_call=True,
        )


def chips(page: str, view: View, labels: Mapping[str, str]) -> list[html.Button]:
    """What the page is filtered by beside its controls, each with what takes it away."""
    return [
        html.Button(
            [label, hidden(", a filter: take it away"), html.Span("×", **aria(hidden="true"))],
            id=mark_id(page, "chips", **{name: view.mark(name)}),
            type="button",
            className="chip",
        )
        for name, label in labels.items()
    ]


def nothing(text: str) -> html.Div:
    """Stands where a chart has nothing to show."""
    return html.Div([icon("empty"), html.P(text)], className="nothing")


def panel(symbol: str, title: str, content: list[Any]) -> html.Div:
    """Stands in place of a page."""
    return html.Div([icon(symbol), html.H1(title), *content], className="card panel")


def unfilled(what: str) -> html.Div:
    """Stands in place of a page whose marts have no rows."""
    return panel(
        "waiting",
        f"No {what} yet",
        [
            html.P("The published data has none. This page fills as soon as the first ones come through."),
            html.P("Look in Dagster whether events arrive in the lake, and whether the hourly runs succeed."),
        ],
    )


def notices(view: View) -> list[html.Div]:
    """What of the page's address could not be taken as it was."""
    return [
        html.Div([icon("info"), html.P(text)], className="banner banner-info", role="status")
        for text in view.notices
    ]


def table_rows(rows: list[list[Any]]) -> list[html.Tr]:
    """Rows of a table, whose first cell is their heading."""
    return [html.Tr([html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])]) for row in rows]


def copy(caption: str) -> html.Button:
    """Copies the table that stands beside it."""
    return html.Button(["Copy", hidden(f" the table: {caption}")], type="button", className="copy")


def as_table(name: str, caption: str, header: list[str], rows: list[list[Any]]) -> html.Details:
    """The chart's numbers, for whoever would rather read them."""
    return html.Details(
        [
            html.Summary(["Show as table", hidden(f": {caption}")]),
            copy(caption),
            html.Div(
                html.Table(
                    [
                        html.Caption(caption, className="visually-hidden"),
                        html.Thead(html.Tr([html.Th(cell, scope="col") for cell in header])),
                        html.Tbody(table_rows(rows), id=name),
                    ]
                ),
                className="table-scroll",
                tabIndex=0,
                role="region",
                **aria(label=caption),
            ),
        ],
        className="as-table",
    )


def date_range(name: str, view: View, first: str, last: str) -> dmc.DatePickerInput:
    """The control for a range of days, from `first` to `last` at most."""
    return dmc.DatePickerInput(
        id=name,
        type="range",
        label="Days",
        value=[view.first.isoformat(), view.last.isoformat()],
        minDate=first,
        maxDate=last,
        valueFormat="D MMM YYYY",
        allowSingleDateInRange=True,
        leftSection=icon("calendar"),
        className="date-range",
        popoverProps={"withinPortal": True},
        ariaLabels={
            "nextMonth": "Next month",
            "previousMonth": "Month before",
            "nextYear": "Next year",
            "previousYear": "Year before",
            "monthLevelControl": "Choose a month",
            "yearLevelControl": "Choose a year",
        },
    )
