"""What listeners of a song play next, in the same session: a bar a song."""

from dataclasses import replace
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Output, html

from streaming_assets.dashboards import board, formats, habits, parts, song_ranking, streams
from streaming_assets.dashboards.chart import Chart, Drawn, Live, Rows
from streaming_assets.dashboards.compare import against_before
from streaming_assets.dashboards.habits import Played
from streaming_assets.dashboards.site import Site
from streaming_assets.dashboards.views import MOST_PLAYED, View
from streaming_assets.published.snapshot import Snapshot

NAME, TITLE = "next-songs", "What is played next"
CHOICE = f"{NAME}-of"
OFFERED, SHOWN = 50, 10  # songs to choose from, the most played first; and songs that follow


def _song(snapshot: Snapshot, view: View) -> tuple[list[Played], Played | None]:
    """The songs to choose from, and the one chosen: the view's, or else the most played at any hour."""
    ranked = song_ranking.songs(snapshot, replace(view, search="", marks=()), 0, OFFERED).songs
    offered = [Played(song.key, f"{song.title}, {song.artist}", song.streams) for song in ranked]
    if not view.song:
        return offered, offered[0] if offered else None
    chosen = next((song for song in offered if song.key == view.song), None)
    if chosen is None:
        chosen = habits.song_named(snapshot, view.song)
        offered = [*offered, chosen]
    return offered, chosen


def _figure(snapshot: Snapshot, view: View) -> tuple[Any, str]:
    song = _song(snapshot, view)[1]
    if song is None:
        return streams.no_streams(snapshot, view), ""
    following = habits.played_after(snapshot, view, song.key)
    if not following:
        return parts.nothing(f"Nothing was played after {song.name}. Choose another song, or other days."), ""
    most, times = following[0].times, habits.times_after(snapshot, view, song.key)
    bars = html.Ol(
        [
            html.Li(
                parts.bar(
                    one.name,
                    formats.count(one.times),
                    one.times / most,
                    parts.choice(NAME, one.name, one.key),
                )
            )
            for one in following[:SHOWN]
        ],
        className="bars",
    )
    table = parts.as_table(
        f"{NAME}-rows",
        TITLE,
        ["Song", "Times", "Share"],
        [
            [one.name, formats.count(one.times), formats.percent(one.times / times, 1)]
            for one in following[:OFFERED]
        ],
    )
    detail = (
        f"After {song.name}, in {streams.where(snapshot, view)}: {formats.count(times)} times another song"
        + against_before(
            snapshot, view, habits.LISTENS, lambda of: habits.times_after(snapshot, of, song.key)
        )
    )
    return html.Div([bars, table]), detail


def _options(snapshot: Snapshot, view: View) -> Any:
    most = {"value": MOST_PLAYED, "label": "The song played most"}
    return [most, *({"value": song.key, "label": song.name} for song in _song(snapshot, view)[0])]


def draw(snapshot: Snapshot, view: View) -> Drawn:
    """The bars, and the choice of the song."""
    choice = dmc.Select(
        id=CHOICE,
        data=_options(snapshot, view),
        value=view.song or MOST_PLAYED,
        searchable=True,
        allowDeselect=False,
        nothingFoundMessage="None of the songs played most",
        className="song-select",
        **parts.aria(label="Song"),
    )
    figure, detail = _figure(snapshot, view)
    return Drawn(html.Div(figure, id=f"{NAME}-figure", className="filled"), detail, choice)


def values(snapshot: Snapshot, view: View) -> tuple[Any, ...]:
    """What changes with the filters; the choice itself stays in place."""
    link = parts.download_address(NAME, view.address())
    figure, detail = _figure(snapshot, view)
    return _options(snapshot, view), figure, [detail, board.note(CHART, view)], link


OUTPUTS = (
    Output(CHOICE, "data"),
    Output(f"{NAME}-figure", "children"),
    Output(f"{NAME}-detail", "children"),
    Output(f"{NAME}-download", "href"),
)


def rows(snapshot: Snapshot, view: View) -> Rows:
    """All songs that followed."""
    yield "after", "next", "times"
    song = _song(snapshot, view)[1]
    if song:
        after = habits.played_after(snapshot, view, song.key)
        yield from ((song.name, one.name, one.times) for one in after)


def register(app: Dash, _site: Site) -> None:
    """A click on a song shows what is played after it."""
    parts.register_choice(app, NAME, CHOICE)


CHART = Chart(
    NAME,
    TITLE,
    "habits",
    40,
    12,
    (habits.LISTENS, habits.SONGS, habits.LOCATIONS, song_ranking.SONGS),
    draw,
    rows,
    Live(OUTPUTS, values),
    register,
    song=CHOICE,
    follows=("weekday", "hour"),
)
