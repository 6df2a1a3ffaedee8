"""What the pages count over facts, against counts in plain Python over the same rows."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from streaming_assets.dashboards import activity
from streaming_assets.dashboards.views import View
from streaming_assets.published.snapshot import Snapshot
from streaming_assets_tests.dashboards.world import FIRST_DAY, LAST_DAY, MISSING_DAY, World, counted_anew

WHOLE = View(FIRST_DAY, LAST_DAY)
SOME = View(date(2025, 1, 15), date(2025, 1, 28))
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
    assert activity.funnel(snapshot, view) == (len(new), len(played), len(back), len(paid))
    assert activity.funnel(snapshot, View(MISSING_DAY, MISSING_DAY)) == (0, 0, 0, 0)


def test_changes_of_level_stand_on_their_days(snapshot: Snapshot, world: World) -> None:
    changed = Counter(world.changes.day)
    assert activity.level_changes(snapshot, SOME) == [(changed[day], 0) for day in SOME.days()]


@pytest.mark.parametrize("view", [WHOLE, SOME], ids=["whole", "some"])
def test_departures_stand_under_the_page_before_them(snapshot: Snapshot, world: World, view: View) -> None:
    left = [row for row in world.departures.itertuples() if view.first <= row.start.date() <= view.last]
    counted = Counter((row.reason_page, row.departure) for row in left)
    found = activity.departures(snapshot, view)
    assert found == {page: (counted[page, "cancelled"], counted[page, "downgraded"]) for page, _ in counted}
    assert [sum(counts) for counts in found.values()] == sorted(map(sum, found.values()), reverse=True)


@pytest.mark.parametrize(
    ("step", "left"),
    [("played", ""), ("paid", ""), ("", "Help"), ("back", "Home")],
    ids=lambda mark: mark or "all",
)
def test_a_page_of_some_users_counts_them_alone(
    snapshot: Snapshot, world: World, days_of: dict[int, set[date]], step: str, left: str
) -> None:
    played, paid = {*world.listens.user_id}, {*world.sessions.user_id[world.sessions.level == "paid"]}
    back = {user for user in played if len(days_of[user]) > 1}
    took = {"": {*days_of}, "played": played, "back": back, "paid": back & paid}[step]
    leavers = {*world.departures.user_id[world.departures.reason_page == left]} if left else {*days_of}
    chosen = took & leavers
    assert chosen, "the world has some"
    view = View(SOME.first, SOME.last, marks=(("left", left),) * bool(left) + (("step", step),) * bool(step))
    came: Counter[tuple[date, date]] = Counter()
    for user in chosen:
        came.update((weeks(days_of[user])[0], week) for week in weeks(days_of[user]))
    shown = [start for start in sorted({week for _, week in came}) if date(2025, 1, 13) <= start <= SOME.last]
    assert {cohort.week: cohort.came[0] for cohort in activity.cohorts(snapshot, view)} == {
        week: came[week, week] for week in shown if came[week, week]
    }
    assert {
        week: sum(both) for week, both in activity.new_and_returning(snapshot, view).items() if any(both)
    } == {week: sum(count for (_, at), count in came.items() if at == week) for week in shown}
    changed = Counter(row.day for row in world.changes.itertuples() if row.user_id in chosen)
    assert activity.level_changes(snapshot, view) == [(changed[day], 0) for day in SOME.days()]
    new = {user for user in leavers if SOME.first <= min(days_of[user]) <= SOME.last}
    assert activity.funnel(snapshot, view) == (
        len(new),
        len(new & played),
        len(new & back),
        len(new & back & paid),
    )
    gone = Counter(
        row.reason_page
        for row in world.departures.itertuples()
        if row.user_id in took and SOME.first <= row.start.date() <= SOME.last
    )
    assert {page: sum(counts) for page, counts in activity.departures(snapshot, view).items()} == gone
    assert activity.reason_pages(snapshot) == {*world.departures.reason_page}


def test_a_new_snapshot_counts_its_new_files_alone(snapshot: Snapshot) -> None:
    def counts(one: Snapshot) -> tuple[object, ...]:
        return (
            activity.cohorts(one, WHOLE),
            activity.funnel(one, SOME),
        )

    asked, found, wanted = counted_anew(snapshot, counts)
    assert asked == 2, "the week that lost days of sessions and of listens"
    assert found == wanted


def test_a_week_runs_until_it_is_over(tmp_path: Path, snapshot: Snapshot) -> None:
    def at(moment: datetime) -> Snapshot:
        manifest = snapshot.manifest.model_copy(update={"as_of": moment})
        return Snapshot(snapshot.folder, manifest, snapshot.database)

    assert activity.running_week(at(datetime(2025, 2, 10, tzinfo=UTC))) is None
    assert activity.running_week(at(datetime(2025, 2, 9, 23, tzinfo=UTC))) == date(2025, 2, 3)
    newest = activity.weeks_of(at(datetime(2025, 2, 10, tzinfo=UTC)), View(FIRST_DAY, date(2025, 2, 10)))[-1]
    assert newest == date(2025, 2, 3), "a week that has not begun is none"
