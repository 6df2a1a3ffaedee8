"""What surrounds the pages: header, freshness, and what stands in their place when there is no data."""

from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from streaming_assets.dashboards import formats, parts
from streaming_assets.dashboards.pages import PAGES
from streaming_assets.dashboards.site import Site, Status


def links(active: str) -> list[dcc.Link]:
    """The links to the pages. `active` is the path of the page shown."""
    return [
        dcc.Link(
            page.link,
            href=page.path,
            id=f"nav-{page.link.lower()}",
            className="nav-link" + (" nav-active" if page.path == active else ""),
        )
        for page in PAGES
    ]


def header(state: Status) -> html.Header:
    """The bar above the pages."""
    return html.Header(
        [
            html.Div(
                [html.Span(className="logo"), html.Span("Streaming", className="brand-name")],
                className="brand",
            ),
            html.Nav(id="nav", className="nav", **parts.aria(label="Pages")),
            dmc.ColorSchemeToggle(
                id="scheme",
                lightIcon=parts.icon("sun"),
                darkIcon=parts.icon("moon"),
                variant="subtle",
                color="gray",
                className="scheme",
                **parts.aria(label="Light or dark colours"),
            ),
            html.Div(
                [
                    html.Div(freshness(state), id="freshness", className="freshness"),
                    html.Div(hours(state), id="whole-until"),
                ],
                className="fresh",
            ),
        ],
        className="header",
    )


def freshness(state: Status) -> list[Any]:
    """How old the data is."""
    if state.as_of is None:
        return []
    age = formats.age(state.age)
    return [
        html.Span(className="dot dot-stale" if state.stale or _amiss(state) else "dot"),
        html.Span(["Data as of ", html.Time(formats.moment(state.as_of), dateTime=state.as_of.isoformat())]),
        html.Span(age if age == "just now" else f"{age} old", className="age"),
    ]


def _amiss(state: Status) -> tuple[datetime, ...]:
    """The hours whose numbers are not whole."""
    return (*state.hours.unfinished, *state.hours.absent) if state.hours else ()


def hours(state: Status) -> list[Any]:
    """Up to when the numbers are whole, and which hours before lack something; nothing where nobody looked."""
    as_of = state.as_of
    if not state.hours or as_of is None:
        return []
    running = as_of.replace(minute=0, second=0, microsecond=0)
    whole = min((*_amiss(state), running))
    amiss = len(_amiss(state))
    told = [html.P(f"All numbers are whole until {formats.moment(whole)}.")]
    if running < as_of:
        told.append(html.P(f"The hour from {running:%H:%M} was not over when it was read."))
    for some, what in (
        (state.hours.unfinished, "Not or not wholly in the numbers yet, or not readable"),
        (state.hours.absent, "No event is there: nothing happened, or it is late"),
    ):
        if some:
            told.append(html.P([html.Strong(f"{what}: "), formats.hours(some)]))
    told.append(html.P(f"Looked at: the hours since {formats.moment(state.hours.first.astimezone(UTC))}."))
    summary = (
        f"{amiss} {'hour' if amiss == 1 else 'hours'} missing or late"
        if amiss
        else f"whole until {whole:%H:%M}"
    )
    return [html.Details([html.Summary(summary), html.Div(told, className="definition")], className="about")]


def stale_warning(state: Status, site: Site) -> list[Any]:
    """The warning above a page whose data is too old; empty otherwise."""
    if not state.stale:
        return []
    return [
        html.Div(
            [
                parts.icon("warning"),
                html.P(
                    [
                        html.Strong(f"The data is {formats.age(state.age)} old. "),
                        f"New hours should arrive within {formats.age(site.stale_after)}. Check in Dagster "
                        "that events arrive in the lake and that the hourly runs succeed; the page catches "
                        "up by itself.",
                    ]
                ),
            ],
            className="banner banner-warning",
        )
    ]


def in_place_of_page(state: Status) -> html.Div:
    """What a page shows when there is no snapshot to read."""
    if state.kind == "empty":
        return parts.panel(
            "waiting",
            "No data has been published yet",
            [
                html.P("The pages fill as soon as the first hour of events has gone through the pipeline."),
                html.Ol(
                    [
                        html.Li(["Start the whole system with ", html.Code("make dev"), "; or,"]),
                        html.Li(
                            ["if it runs, materialise ", html.Code("dashboard_snapshot"), " in Dagster."]
                        ),
                    ]
                ),
                html.P("This page looks for it every few seconds; there is no need to reload."),
            ],
        )
    return failure(state.message)


def failure(message: str) -> html.Div:
    """What a page shows when the snapshot can't be read."""
    return parts.panel(
        "broken",
        "The published data can't be read",
        [
            html.P(html.Code(message, className="message")),
            html.P(
                [
                    "Materialise ",
                    html.Code("dashboard_snapshot"),
                    " in Dagster once more. This page looks again every few seconds.",
                ]
            ),
        ],
    )


def not_found(path: str) -> html.Div:
    """What an address shows that is no page's."""
    return parts.panel(
        "broken",
        "There is no such page",
        [html.P([html.Code(path, className="message")]), html.P(dcc.Link("To the KPIs", href="/"))],
    )


def failure_notice(message: str) -> html.Div:
    """Told above a page when a change of filters failed; the page keeps what it showed."""
    return html.Div(
        [parts.icon("warning"), html.P([html.Strong("This could not be shown. "), message])],
        className="banner banner-error",
        role="alert",
    )
