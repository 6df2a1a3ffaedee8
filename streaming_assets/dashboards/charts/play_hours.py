"""Plays by hour of the day and day of the week: a heat map."""

from dash import html

from streaming_assets.dashboards import activity, formats, parts, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "play-hours", "Plays by hour and day of the week"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LABELLED = range(0, 24, 6)


def _plays(snapshot: Snapshot, view: View) -> dict[tuple[int, int], int]:
    return activity.plays_by_hour(snapshot, view.first, view.last, view.state)


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The map: the darker a cell, the more was played."""
    plays = _plays(snapshot, view)
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
                            html.Th(f"{at:02}" if at in LABELLED else parts.hidden(f"{at:02}"), scope="col")
                            for at in range(24)
                        ),
                    ]
                )
            ),
            html.Tbody(
                [
                    html.Tr(
                        [
                            html.Th([name[:3], parts.hidden(name[3:])], scope="row"),
                            *(_cell(name, at, plays.get((number, at), 0), most) for at in range(24)),
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
        + against_before(snapshot, view, activity.LISTENS, lambda of: sum(_plays(snapshot, of).values())),
    )


def _cell(weekday: str, hour: int, plays: int, most: int) -> html.Td:
    return html.Td(
        parts.hidden(formats.count(plays)),
        title=f"{weekday} {hour:02}:00 to {(hour + 1) % 24:02}:00: {formats.count(plays)} plays",
        className="cell",
        style={"--share": f"{plays / most:.3f}"},
    )


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All hours of the week."""
    yield "weekday", "hour_utc", "plays"
    plays = _plays(snapshot, view)
    for number, name in enumerate(WEEKDAYS, 1):
        yield from ((name, hour, plays.get((number, hour), 0)) for hour in range(24))


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    10,
    12,
    (activity.LISTENS, activity.LOCATIONS, streams.STATES),
    draw,
    rows,
    metric="listens",
)
