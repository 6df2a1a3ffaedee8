"""What a chart is. Each one is a file in `charts/`, which `charts.all_charts` finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dash import Dash, Output

from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot

Rows = Iterable[Iterable[Any]]


@dataclass(frozen=True)
class Drawn:
    """A chart, drawn.

    Attributes:
        figure: the components below the heading.
        detail: one line below the title.
        extra: components left of the download.
    """

    figure: Any
    detail: Any = ""
    extra: Any = None


@dataclass(frozen=True)
class Live:
    """How a chart whose components must stay in place, such as one with a keyboard focus, follows the filters.

    Attributes:
        outputs: the properties that change.
        values: their values, for the view.
    """

    outputs: tuple[Output, ...]
    values: Callable[[Snapshot, View], tuple[Any, ...]]


@dataclass(frozen=True)
class Chart:
    """A chart of a page.

    Attributes:
        name: of its card and its CSV file.
        title: its heading.
        page: the name of its page.
        place: its place on the page; lower ones come first.
        width: of twelve columns.
        reads: the published tables that it reads; the page's days are those of all its charts' tables.
        draw: the chart of a view.
        rows: what its CSV file holds, the header first.
        live: for a chart that is drawn once; any other is drawn anew when filters change.
        register: adds callbacks of its own.
        metric: the metric whose numbers it shows; its description stands behind an (i), before those
            of the tables.
        search: id of its field for the view's search text.
        song: id of its choice of the view's song.
        sets: the marks by which a click on it filters the page, see marks.py; it shows them all, the chosen one marked.
        follows: the marks that it is filtered by; its caption says of others that it is not.
    """

    name: str
    title: str
    page: str
    place: int
    width: int
    reads: tuple[str, ...]
    draw: Callable[[Snapshot, View], Drawn]
    rows: Callable[[Snapshot, View], Rows]
    live: Live | None = None
    register: Callable[[Dash, Site], None] | None = None
    metric: str | None = None
    search: str | None = None
    song: str | None = None
    sets: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
