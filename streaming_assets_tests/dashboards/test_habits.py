"""When and how long people listen, against counts in plain Python over the same rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from streaming_assets.dashboards import habits, song_ranking
from streaming_assets.dashboards.charts import charts_of
from streaming_assets.dashboards.pages import BY_NAME
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot
from streaming_assets_tests.dashboards.world import World, counted_anew

SOME = View(date(2025, 1, 15), date(2025, 1, 28))
IN_TX = replace(SOME, state="TX")


def marked(view: View, **marks: str) -> View:
    return replace(view, marks=tuple(sorted(marks.items())))


@pytest.fixture(scope="module")
def snapshot(published: Path) -> Snapshot:
    return Snapshot.open(published)


def bar(number: int, starts: tuple[int, ...]) -> int:
    return max(start for start in starts if start <= number)


def within(row: object, view: View) -> bool:
    return view.first <= row.event_date <= view.last and view.state in ("ALL", row.state_code)


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {"weekday": "5"},
        {"hour": "17"},
        {"hour": "18", "weekday": "6", "minutes": "15"},
        {"songs": "3"},
        {"minutes": "30", "songs": "5"},
    ],
    ids=lambda marks: " ".join(f"{name}={value}" for name, value in marks.items()) or "all",
)
@pytest.mark.parametrize("state", ["ALL", "TX", "VT"])
def test_habits_equal_counts_of_the_facts(
    snapshot: Snapshot, world: World, state: str, marks: Mapping[str, str]
) -> None:
    view = marked(replace(SOME, state=state), **marks)
    listens = [row.at for row in world.listens.itertuples() if within(row, view)]
    by_hour = Counter((at.isoweekday(), at.hour) for at in listens)
    assert habits.plays_by_hour(snapshot, view) == by_hour, "whichever hours are chosen"

    def is_at(weekday: int, hour: int) -> bool:
        return marks.get("weekday") in (None, str(weekday)) and marks.get("hour") in (None, str(hour))

    for until in (24, 17):
        assert habits.plays(snapshot, view, until) == sum(
            count for at, count in by_hour.items() if is_at(*at) and at[1] < until
        )
    played = Counter(world.listens.session_id)
    sessions = [
        (row.seconds // 60, played[row.session_id])
        for row in world.sessions.itertuples()
        if within(row, view) and is_at(row.start.isoweekday(), row.start.hour)
    ]
    of_songs = [row for row in sessions if marks.get("songs") in (None, str(bar(row[1], habits.SONG_COUNTS)))]
    minutes = Counter(bar(minutes, habits.MINUTES) for minutes, _ in of_songs)
    assert habits.sessions_by_minutes(snapshot, view) == {start: minutes[start] for start in habits.MINUTES}
    began = [row.start.hour for row in world.sessions.itertuples() if within(row, view)]
    if not marks:
        early = habits.sessions_by_minutes(snapshot, view, 17)
        assert sum(early.values()) == sum(hour < 17 for hour in began)
    of_minutes = [row for row in sessions if marks.get("minutes") in (None, str(bar(row[0], habits.MINUTES)))]
    counted = habits.sessions_by_songs(snapshot, view)
    assert counted == Counter(songs for _, songs in of_minutes)
    bars = Counter(bar(songs, habits.SONG_COUNTS) for _, songs in of_minutes)
    assert habits.by_song_counts(counted) == {start: bars[start] for start in habits.SONG_COUNTS}


@pytest.mark.parametrize(
    "view",
    [SOME, IN_TX, marked(SOME, hour="17"), marked(SOME, weekday="5")],
    ids=["all", "TX", "17:00", "Fridays"],
)
def test_what_is_played_next_is_of_the_same_session(snapshot: Snapshot, world: World, view: View) -> None:
    rows = [row for row in world.listens.sort_values(["session_id", "at"]).itertuples() if within(row, view)]
    most = song_ranking.songs(snapshot, view, 0, 5).songs
    plays = Counter(row.pk_song for row in rows if row.event_date in view.days())
    assert [song.streams for song in most] == sorted(plays.values(), reverse=True)[:5]
    assert [song.streams for song in most] == [plays[song.key] for song in most]
    key, hour = most[0].key, view.mark("hour")
    following = Counter(
        after.pk_song
        for before, after in pairwise(rows)
        if before.pk_song == key and before.session_id == after.session_id
        if before.event_date in view.days() and hour in ("", str(before.at.hour))
    )
    assert following, "the world has some"
    found = habits.played_after(snapshot, view, key)
    assert {one.key: one.times for one in found} == following
    assert [one.times for one in found] == sorted(following.values(), reverse=True)
    assert habits.times_after(snapshot, view, key) == following.total()
    assert habits.song_named(snapshot, key).name == f"{most[0].title}, {most[0].artist}"
    assert habits.song_named(snapshot, "f" * 32).times == 0


def test_a_new_snapshot_counts_its_new_files_alone(snapshot: Snapshot) -> None:
    song = song_ranking.songs(snapshot, SOME, 0, 1).songs[0].key

    def counts(one: Snapshot) -> tuple[object, ...]:
        return (
            habits.plays_by_hour(one, IN_TX),
            habits.sessions_by_songs(one, IN_TX),
            habits.played_after(one, IN_TX, song),
        )

    asked, found, wanted = counted_anew(snapshot, counts)
    assert asked == 1, "the names of songs"
    assert found == wanted


def test_today_so_far_is_compared_with_the_same_hours(snapshot: Snapshot, world: World) -> None:
    moment = datetime(2025, 2, 11, 14, 30, tzinfo=UTC)
    manifest = snapshot.manifest.model_copy(update={"as_of": moment})
    now = Snapshot(snapshot.folder, manifest, snapshot.database)
    today, week_before = (
        sum(at.date() == day and at.hour < 14 for at in world.listens["at"])
        for day in (date(2025, 2, 11), date(2025, 2, 4))
    )
    moved = f"{'up' if today > week_before else 'down'} {abs(today / week_before - 1):.1%} on Tue 4 Feb 2025"
    view = View(moment.date(), moment.date())
    assert f", until 14:00 {moved}" in BY_NAME["habits"].subtitle(now, view)
    charts = {chart.name: chart for chart in charts_of("habits")}
    assert f", until 14:00 {moved}" in charts["play-hours"].draw(now, view).detail
    assert ", until 14:00 " in charts["session-lengths"].draw(now, view).detail
    assert "until" not in BY_NAME["music"].subtitle(now, marked(view, genre="Rock")), "the mart has no hours"
