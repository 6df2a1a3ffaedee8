"""Plays by hour of the day and day of the week: a heat map."""

from dataclasses import replace
from typing import Any

from dash import html

from streaming_assets.dashboards import formats, habits, parts, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.habits import WEEKDAYS
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "play-hours", "Plays by hour and day of the week"
LABELLED = range(0, 24, 6)


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The map: the darker a cell, the more was played."""
    plays = habits.plays_by_hour(snapshot, view)
    if not plays:
        return Drawn(streams.no_streams(snapshot, view))
    weekday, hour = max(plays, key=lambda at: plays[at])
    most = plays[weekday, hour]
    table = html.Table(
        [
            html.Caption(TITLE, className="visually-hidden"),
            html.Thead(
                html.Tr(
                    [
                        html.Th(parts.hidden("Day of the week"), scope="col"),
                        *(
                            html.Th(
                                _heading("hours", at in LABELLED, f"{at:02}", view, hour=str(at)), scope="col"
                            )
                            for at in range(24)
                        ),
                    ]
                )
            ),
            html.Tbody(
                [
                    html.Tr(
                        [
                            html.Th(
                                _heading(
                                    "weekdays",
                                    True,
                                    [name[:3], parts.hidden(name[3:])],
                                    view,
                                    weekday=str(number),
                                ),
                                scope="row",
                            ),
                            *(_cell(number, at, plays.get((number, at), 0), most, view) for at in range(24)),
                        ]
                    )
                    for number, name in enumerate(WEEKDAYS, 1)
                ],
                id=f"{NAME}-rows",
            ),
        ],
        className="heat",
    )
    return Drawn(
        html.Div([table, parts.copy(TITLE)]),
        f"In {streams.where(snapshot, view)}, UTC; most on {WEEKDAYS[weekday - 1]}s from {hour:02}:00, "
        f"{formats.count(most)} plays; {formats.count(sum(plays.values()))} in all"
        + against_before(
            snapshot,
            replace(view, marks=()),
            habits.LISTENS,
            lambda of: habits.plays(snapshot, of),
            lambda of, until: habits.plays(snapshot, of, until),
        ),
    )


def _heading(place: str, is_shown: bool, label: Any, view: View, **sets: str) -> html.Button:
    look = "choice" if is_shown else "choice unlabelled"
    return parts.mark_button("habits", f"{NAME}-{place}", label, view, look, **sets)


def _cell(weekday: int, hour: int, plays: int, most: int, view: View) -> html.Td:
    """An hour of the week. A mouse alone gets at it; the keyboard, at the day and the hour that it stands by."""
    sets = {"weekday": str(weekday), "hour": str(hour)}
    is_chosen = any(name in sets for name, _ in view.marks) and all(
        view.mark(name) in ("", value) for name, value in sets.items()
    )
    return html.Td(
        parts.hidden(formats.count(plays)),
        id=parts.mark_id("habits", f"{NAME}-cells", **sets),
        title=f"{WEEKDAYS[weekday - 1]} {habits.hour_label(hour)}: {formats.count(plays)} plays",
        className="cell cell-chosen" if is_chosen else "cell",
        style={"--share": f"{plays / most:.3f}"},
    )


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All hours of the week."""
    yield "weekday", "hour_utc", "plays"
    plays = habits.plays_by_hour(snapshot, view)
    for number, name in enumerate(WEEKDAYS, 1):
        yield from ((name, hour, plays.get((number, hour), 0)) for hour in range(24))


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    10,
    12,
    (habits.LISTENS, habits.LOCATIONS, streams.STATES),
    draw,
    rows,
    metric="listens",
    sets=("weekday", "hour"),
)
