"""Components that both pages are made of."""

from typing import Any

import dash_mantine_components as dmc
from dash import Output, dcc, html

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


def card(name: str, title: str, detail: Any, body: Any, view: View, extra: Any = None) -> html.Div:
    """A chart in its frame.

    Args:
        name: of the chart; its id, and that of its CSV file.
        title: the heading.
        detail: one line below it.
        body: the chart.
        view: what it shows, for the download.
        extra: stands left of the download.
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
                    html.Div([extra, download(name, title, view)], className="card-actions"),
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
        [html.P("The published data has none. This page fills as soon as the first ones come through.")],
    )


def notices(view: View) -> list[html.Div]:
    """What of the page's address could not be taken as it was."""
    return [
        html.Div([icon("info"), html.P(text)], className="banner banner-info", role="status")
        for text in view.notices
    ]


def table_rows(rows: list[list[str]]) -> list[html.Tr]:
    """Rows of a table, whose first cell is their heading."""
    return [html.Tr([html.Th(row[0], scope="row"), *(html.Td(cell) for cell in row[1:])]) for row in rows]


def as_table(name: str, caption: str, header: list[str], rows: list[list[str]]) -> html.Details:
    """The chart's numbers, for whoever would rather read them."""
    return html.Details(
        [
            html.Summary(["Show as table", hidden(f": {caption}")]),
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
