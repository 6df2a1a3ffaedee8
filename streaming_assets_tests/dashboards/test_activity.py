"""What the pages count over facts, against counts in plain Python over the same rows."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from streaming_assets.dashboards import activity
from streaming_assets.dashboards.charts import session_lengths, session_songs
from streaming_assets.dashboards.views import View
from streaming_assets.published.manifest import File
from streaming_assets.published.snapshot import Database, Snapshot
from streaming_assets_tests.dashboards.world import FIRST_DAY, LAST_DAY, MISSING_DAY, World

WHOLE = View(FIRST_DAY, LAST_DAY)
SOME = View(date(2025, 1, 15), date(2025, 1, 28))
SOME_IN_TX = (SOME.first, SOME.last, "TX")
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def snapshot(published: Path) -> Snapshot:
    return Snapshot.open(published)


@pytest.fixture(scope="module")
def days_of(world: World) -> dict[int, set[date]]:
    """The days on which each user had a session."""
    days = defaultdict(set)
    for user, day in zip(world.sessions.user_id, world.sessions.event_date, strict=True):
        days[user].add(day)
    return days


def weeks(days: set[date]) -> list[date]:
    return sorted({day - timedelta(days=day.weekday()) for day in days})


@pytest.mark.parametrize("view", [WHOLE, SOME], ids=["whole", "some"])
def test_a_cohort_is_who_was_first_seen_in_a_week(
    snapshot: Snapshot, days_of: dict[int, set[date]], view: View
) -> None:
    came: Counter[tuple[date, date]] = Counter()
    for days in days_of.values():
        came.update((weeks(days)[0], week) for week in weeks(days))
    first = view.first - timedelta(days=view.first.weekday())
    starts = [week for week in sorted({week for week, _ in came}) if first <= week <= view.last]
    cohorts = activity.cohorts(snapshot, view)
    assert [cohort.week for cohort in cohorts] == starts
    for cohort in cohorts:
        later = [cohort.week + n * WEEK for n in range((date(2025, 2, 10) - cohort.week).days // 7 + 1)]
        assert list(cohort.came) == [came[cohort.week, week] for week in later]
    assert activity.running_week(snapshot) == date(2025, 2, 10)
    assert activity.new_and_returning(snapshot, view) == {
        week: (came[week, week], sum(n for (new, at), n in came.items() if at == week != new))
        for week in starts
    }


@pytest.mark.parametrize("view", [WHOLE, SOME], ids=["whole", "some"])
def test_each_step_of_the_funnel_is_among_those_before_it(
    snapshot: Snapshot, world: World, days_of: dict[int, set[date]], view: View
) -> None:
    new = {user for user, days in days_of.items() if view.first <= min(days) <= view.last}
    played = new & {*world.listens.user_id}
    back = {user for user in played if len(days_of[user]) > 1}
    paid = back & {*world.sessions.user_id[world.sessions.level == "paid"]}
    assert activity.funnel(snapshot, view.first, view.last) == (len(new), len(played), len(back), len(paid))
    assert activity.funnel(snapshot, MISSING_DAY, MISSING_DAY) == (0, 0, 0, 0)


def test_changes_of_level_stand_on_their_days(snapshot: Snapshot, world: World) -> None:
    changed = Counter(world.changes.day)
    assert activity.level_changes(snapshot, SOME.days()) == [(changed[day], 0) for day in SOME.days()]


@pytest.mark.parametrize("view", [WHOLE, SOME], ids=["whole", "some"])
def test_departures_stand_under_the_page_before_them(snapshot: Snapshot, world: World, view: View) -> None:
    left = [row for row in world.departures.itertuples() if view.first <= row.start.date() <= view.last]
    counted = Counter((row.reason_page, row.departure) for row in left)
    found = activity.departures(snapshot, view.first, view.last)
    assert found == {page: (counted[page, "cancelled"], counted[page, "downgraded"]) for page, _ in counted}
    assert [sum(counts) for counts in found.values()] == sorted(map(sum, found.values()), reverse=True)


@pytest.mark.parametrize("state", ["ALL", "TX", "VT"])
def test_habits_equal_counts_of_the_facts(snapshot: Snapshot, world: World, state: str) -> None:
    view = View(SOME.first, SOME.last, state)
    asked = (view.first, view.last, state)
    listens, sessions = (
        [
            row
            for row in rows.itertuples()
            if view.first <= row.event_date <= view.last and state in ("ALL", row.state_code)
        ]
        for rows in (world.listens, world.sessions)
    )
    assert activity.plays_by_hour(snapshot, *asked) == Counter(
        (row.at.isoweekday(), row.at.hour) for row in listens
    )
    minutes = Counter(row.seconds // 60 // 15 * 15 for row in sessions)
    shown = session_lengths.lengths(snapshot, view)
    assert shown[180] == sum(count for start, count in minutes.items() if start >= 180)
    assert {start: count for start, count in shown.items() if start < 180} == {
        start: minutes[start] for start in range(0, 180, 15)
    }
    played = Counter(row.session_id for row in world.listens.itertuples())
    assert activity.sessions_by_songs(snapshot, *asked) == Counter(played[row.session_id] for row in sessions)
    assert sum(session_songs.songs(snapshot, view).values()) == len(sessions)


class Shorter(Snapshot):
    """The same without its last week and a half."""

    def _files(self, table: str) -> Mapping[date, File | None]:
        return {day: file for day, file in super()._files(table).items() if day < date(2025, 2, 4)}


def test_a_new_snapshot_counts_its_new_files_alone(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = activity.most_played(snapshot, *SOME_IN_TX, 1)[0].key

    def counts(one: Snapshot) -> tuple[object, ...]:
        return (
            activity.plays_by_hour(one, *SOME_IN_TX),
            activity.sessions_by_songs(one, *SOME_IN_TX),
            activity.played_after(one, *SOME_IN_TX, song),
            activity.cohorts(one, WHOLE),
            activity.funnel(one, SOME.first, SOME.last),
        )

    counts(snapshot)
    asked = []
    query = snapshot.database.query
    monkeypatch.setattr(
        snapshot.database, "query", lambda *given, **more: asked.append(given) or query(*given, **more)
    )
    shorter = Shorter(snapshot.folder, snapshot.manifest, snapshot.database)
    found = counts(shorter)
    assert len(asked) == 3, "the names of songs, and the week that lost days of sessions and of listens"
    assert found == counts(Shorter(snapshot.folder, snapshot.manifest, Database()))


@pytest.mark.parametrize("state", ["ALL", "TX"])
def test_what_is_played_next_is_of_the_same_session(snapshot: Snapshot, world: World, state: str) -> None:
    rows = [
        row
        for row in world.listens.sort_values(["session_id", "at"]).itertuples()
        if SOME.first <= row.event_date <= SOME.last and state in ("ALL", row.state_code)
    ]
    plays = Counter(row.pk_song for row in rows)
    most = activity.most_played(snapshot, SOME.first, SOME.last, state, 5)
    assert [song.times for song in most] == sorted(plays.values(), reverse=True)[:5]
    song = most[0].key
    following = Counter(
        after.pk_song
        for before, after in pairwise(rows)
        if before.pk_song == song and before.session_id == after.session_id
    )
    found = activity.played_after(snapshot, SOME.first, SOME.last, state, song)
    assert {one.key: one.times for one in found} == following
    assert [one.times for one in found] == sorted(following.values(), reverse=True)
    assert activity.song_named(snapshot, song).name == most[0].name
    assert activity.song_named(snapshot, "f" * 32).times == 0


def test_a_week_runs_until_it_is_over(tmp_path: Path, snapshot: Snapshot) -> None:
    def at(moment: datetime) -> Snapshot:
        manifest = snapshot.manifest.model_copy(update={"as_of": moment})
        return Snapshot(snapshot.folder, manifest, snapshot.database)

    assert activity.running_week(at(datetime(2025, 2, 10, tzinfo=UTC))) is None
    assert activity.running_week(at(datetime(2025, 2, 9, 23, tzinfo=UTC))) == date(2025, 2, 3)
    newest = activity.weeks_of(at(datetime(2025, 2, 10, tzinfo=UTC)), View(FIRST_DAY, date(2025, 2, 10)))[-1]
    assert newest == date(2025, 2, 3), "a week that has not begun is none"
