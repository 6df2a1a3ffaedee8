"""From the first visit to paying: a bar for each step."""

from dash import html

from streaming_assets.dashboards import activity, formats, parts
from streaming_assets.dashboards.chart import Chart, Drawn, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "funnel", "From the first visit to paid"
NAMES = ("", *activity.STEP_NAMES)  # the first step is everybody's, and filters nothing


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars, each with its share of the first."""
    counts = activity.funnel(snapshot, view)
    if not counts[0]:
        return Drawn(parts.nothing("Nobody was first seen on these days. Choose other days."))
    figure = html.Ol(
        [
            html.Li(
                parts.bar(
                    step.capitalize(),
                    f"{formats.count(count)} · {formats.percent(count / counts[0], 1)}",
                    count / counts[0],
                    _button("steps", name, step.capitalize(), view),
                ),
            )
            for name, step, count in zip(NAMES, activity.STEPS, counts, strict=True)
        ],
        className="bars",
        id=f"{NAME}-steps",
    )
    table = parts.as_table(
        f"{NAME}-rows",
        TITLE,
        ["Step", "Users", "Of all", "Of the step before"],
        [
            [
                _button("rows", name, step, view) or step,
                formats.count(count),
                formats.percent(count / counts[0], 1),
                _share(count, before),
            ]
            for name, step, count, before in zip(
                NAMES, activity.STEPS, counts, (counts[0], *counts), strict=False
            )
        ],
    )
    when = formats.span(view.first, view.last)
    return Drawn(
        html.Div([figure, table], className="filled"),
        f"Users first seen {when}"
        + against_before(snapshot, view, activity.SESSIONS, lambda of: activity.funnel(snapshot, of)[0])
        + "; what they did until now, each step of those of the one before",
    )


def _button(place: str, name: str, label: str, view: View) -> html.Button | None:
    return parts.mark_button("listeners", f"{NAME}-{place}", label, view, step=name) if name else None


def _share(count: int, before: int) -> str:
    return formats.percent(count / before, 1) if before else formats.NONE


def rows(snapshot: Snapshot, view: View) -> Rows:
    """The steps."""
    yield "step", "users"
    yield from zip(activity.STEPS, activity.funnel(snapshot, view), strict=True)


CHART = Chart(
    NAME,
    TITLE,
    "listeners",
    30,
    6,
    (activity.SESSIONS, activity.LISTENS),
    draw,
    rows,
    sets=("step",),
    follows=("left",),
)
