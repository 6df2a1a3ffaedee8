"""Retention by weekly cohort: a triangle, a row for each week's new users."""

from datetime import date, timedelta

from dash import html

from streaming_assets.dashboards import activity, formats, parts
from streaming_assets.dashboards.activity import Cohort
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "retention", "Retention by weekly cohort"


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The triangle: the darker a cell, the more of the cohort came in that week."""
    cohorts = activity.cohorts(snapshot, view)
    if not cohorts:
        return Drawn(parts.nothing("Nobody was first seen in these weeks. Choose other days."))
    running = activity.running_week(snapshot)
    width = max(len(cohort.came) for cohort in cohorts)
    table = html.Table(
        [
            html.Caption(TITLE, className="visually-hidden"),
            html.Thead(
                html.Tr(
                    [
                        html.Th("First week", scope="col"),
                        html.Th("Users", scope="col"),
                        *(
                            html.Th(f"+{week}", scope="col", title=f"{week} weeks later")
                            for week in range(1, width)
                        ),
                    ]
                )
            ),
            html.Tbody([_row(cohort, width, running) for cohort in cohorts], id=f"{NAME}-rows"),
        ],
        className="triangle",
    )
    scrolled = html.Div(table, className="wide", tabIndex=0, role="region", **parts.aria(label=TITLE))
    detail = "Of the users first seen in a week, the share with a session so many weeks later"
    if running:
        detail += "; the week that still runs is pale"
    if (share := _week_later(snapshot, view)) is not None:
        detail += f"; {formats.percent(share, 1)} a week later"
        detail += against_before(snapshot, view, activity.SESSIONS, lambda of: _week_later(snapshot, of))
    if cohorts[0].week == activity.first_week(snapshot):
        detail += ". In the first week of the data everybody is new"
    return Drawn(html.Div([scrolled, parts.copy(TITLE)]), detail)


def _week_later(snapshot: Snapshot, view: View) -> float | None:
    """The share of all cohorts that came in the week after their first, of those whose week after is over."""
    running = activity.running_week(snapshot)
    of = [
        cohort
        for cohort in activity.cohorts(snapshot, view)
        if len(cohort.came) > 1 and cohort.week + activity.WEEK != running
    ]
    return sum(cohort.came[1] for cohort in of) / sum(cohort.came[0] for cohort in of) if of else None


def _row(cohort: Cohort, width: int, running: object) -> html.Tr:
    users = cohort.came[0]
    cells = []
    for later, came in enumerate(cohort.came[1:], 1):
        share = came / users
        is_running = cohort.week + later * activity.WEEK == running
        cells.append(
            html.Td(
                formats.percent(share, 0),
                title=f"{formats.count(came)} of {formats.count(users)} users"
                + (", so far" if is_running else ""),
                className="cell cell-running" if is_running else "cell",
                style={"--share": f"{share:.3f}"},
            )
        )
    empty = [html.Td() for _ in range(width - len(cohort.came))]
    return html.Tr([html.Th(_week(cohort.week), scope="row"), html.Td(formats.count(users)), *cells, *empty])


def _week(monday: date) -> html.Button:
    return parts.days_button(NAME, formats.day(monday), monday, monday + timedelta(days=6))


def rows(snapshot: Snapshot, view: View) -> Rows:
    """A row for each cohort and week."""
    yield "cohort", "weeks_later", "users", "share"
    for cohort in activity.cohorts(snapshot, view):
        for later, came in enumerate(cohort.came):
            yield cohort.week, later, came, round(came / cohort.came[0], 6)


CHART = Chart(
    NAME,
    TITLE,
    "listeners",
    10,
    12,
    (activity.SESSIONS,),
    draw,
    rows,
    register=parts.shows_days("listeners", NAME),
    follows=("step", "left"),
)
