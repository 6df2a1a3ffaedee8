"""Each query against a count of its own over the facts: in plain Python, never over the marts."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from streaming_assets.dashboards import board, song_ranking, streams
from streaming_assets.dashboards import kpi_queries as kpi
from streaming_assets.dashboards.charts.artists import artists as artists_of
from streaming_assets.dashboards.charts.daily_active_users import daily_active_users
from streaming_assets.dashboards.charts.daily_ad_revenue import daily_ad_revenue
from streaming_assets.dashboards.charts.genres import genres as genres_of
from streaming_assets.dashboards.charts.songs import told as songs_told
from streaming_assets.dashboards.views import Extent, View
from streaming_assets.published.snapshot import Snapshot, SnapshotReader
from streaming_assets.testing.publishing import publish
from streaming_assets_tests.dashboards.world import (
    FIRST_DAY,
    LAST_DAY,
    MISSING_DAY,
    QUIET_STATES,
    Marts,
    World,
)

WHOLE = View(FIRST_DAY, LAST_DAY)
ACROSS_THE_GAP = View(MISSING_DAY - timedelta(days=2), MISSING_DAY + timedelta(days=3))


@pytest.fixture(scope="module")
def snapshot(published: Path) -> Snapshot:
    return Snapshot.open(published)


def between(facts: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
    return facts[(facts.event_date >= first) & (facts.event_date <= last)]


def listens_of(world: World, view: View) -> pd.DataFrame:
    rows = between(world.listens, view.first, view.last)
    return rows if view.state == "ALL" else rows[rows.state_code == view.state]


def users_of_week(world: World, start: date) -> tuple[set[int], set[int], float]:
    rows = between(world.sessions, start, start + timedelta(days=6))
    return set(rows.user_id), set(rows.user_id[rows.level == "paid"]), rows.ad_revenue.sum()


def test_tiles_are_of_the_newest_complete_week_and_the_one_before(snapshot: Snapshot, world: World) -> None:
    weeks = kpi.weeks(snapshot)
    assert weeks is not None
    assert weeks.before is not None
    assert not weeks.running
    assert weeks.shown.start == date(2025, 2, 3)
    assert weeks.before.start == date(2025, 1, 27)
    for week in (weeks.shown, weeks.before):
        users, paid, revenue = users_of_week(world, week.start)
        assert (week.users, week.paid_users, week.free_users) == (len(users), len(paid), len(users - paid))
        assert week.ad_revenue == pytest.approx(revenue)
        assert week.conversion == pytest.approx(len(paid) / len(users))
        assert week.recurring_revenue(4.99) == pytest.approx(len(paid) * 1.2475)
        assert week.arpu_free == pytest.approx(revenue / len(users - paid))


def test_users_of_a_week_are_fewer_than_the_sum_of_its_days(snapshot: Snapshot) -> None:
    weeks = kpi.weeks(snapshot)
    assert weeks is not None
    week = View(weeks.shown.start, weeks.shown.start + timedelta(days=6))
    daily = [day.all for day in daily_active_users(snapshot, week.days()) if day]
    assert len(daily) == 7
    assert max(daily) < weeks.shown.users < sum(daily)


def test_a_user_on_both_levels_of_a_day_counts_once_in_its_total(snapshot: Snapshot, world: World) -> None:
    for day in daily_active_users(snapshot, WHOLE.days()):
        if day is None:
            continue
        rows = world.sessions[world.sessions.event_date == day.day]
        free, paid = (set(rows.user_id[rows.level == level]) for level in ("free", "paid"))
        assert (day.free, day.paid, day.all) == (len(free), len(paid), len(free | paid))


def test_only_a_running_week_is_shown_as_such(tmp_path: Path, marts: Marts) -> None:
    week = {date(2025, 2, 10): marts["mart_weekly_users"][date(2025, 2, 10)]}
    publish(tmp_path, {"mart_weekly_users": week}, datetime(2025, 2, 16, 23, tzinfo=UTC))
    weeks = kpi.weeks(Snapshot.open(tmp_path))
    assert weeks is not None
    assert weeks.running
    assert weeks.before is None
    publish(tmp_path, {}, datetime(2025, 2, 17, tzinfo=UTC))
    weeks = kpi.weeks(Snapshot.open(tmp_path))
    assert weeks is not None
    assert not weeks.running


def test_a_week_is_compared_with_the_one_right_before_or_with_none(tmp_path: Path, marts: Marts) -> None:
    of = marts["mart_weekly_users"]
    publish(
        tmp_path,
        {"mart_weekly_users": {d: of[d] for d in (date(2025, 1, 20), date(2025, 2, 3))}},
        datetime(2025, 2, 12, tzinfo=UTC),
    )
    weeks = kpi.weeks(Snapshot.open(tmp_path))
    assert weeks is not None
    assert weeks.shown.start == date(2025, 2, 3)
    assert weeks.before is None
    assert len(weeks.trend) == 2


@pytest.mark.parametrize(
    ("now", "before", "relative"),
    [(110, 100, 0.1), (90, 100, -0.1), (5, 0, None), (None, 1, None), (1, None, None)],
)
def test_change(now: float | None, before: float | None, relative: float | None) -> None:
    assert kpi.change(now, before) == (None if relative is None else pytest.approx(relative))


def test_a_week_without_users_has_no_ratios() -> None:
    empty = kpi.Week(FIRST_DAY, 0, 0, 0, 0.0)
    assert empty.conversion is None
    assert empty.arpu_free is None


def test_a_missing_day_stays_in_the_range_as_a_gap(snapshot: Snapshot, world: World) -> None:
    days = ACROSS_THE_GAP.days()
    gap = days.index(MISSING_DAY)
    users = daily_active_users(snapshot, days)
    revenue = daily_ad_revenue(snapshot, days)
    assert [day is None for day in users] == [n == gap for n in range(6)]
    for day, amount in zip(days, revenue, strict=True):
        facts = world.sessions[world.sessions.event_date == day]
        assert amount == (None if day == MISSING_DAY else pytest.approx(facts.ad_revenue.sum()))


@pytest.mark.parametrize(
    "view",
    [
        WHOLE,
        ACROSS_THE_GAP,
        View(FIRST_DAY, LAST_DAY, "TX"),
        View(date(2025, 2, 1), date(2025, 2, 1), "NY"),
        View(FIRST_DAY, LAST_DAY, QUIET_STATES[0]),
        View(MISSING_DAY, MISSING_DAY),
    ],
    ids=lambda view: f"{view.first:%m%d}-{view.last:%m%d}-{view.state}",
)
def test_music_charts_equal_a_count_of_the_listens(snapshot: Snapshot, world: World, view: View) -> None:
    listens = listens_of(world, view)

    genres = Counter(listens.genre).most_common()
    shown = genres_of(snapshot, view)
    assert {part.name: part.streams for part in shown[:5]} == dict(genres[:5])
    assert [part.streams for part in shown[5:]] == ([sum(n for _, n in genres[5:])] if genres[5:] else [])
    assert sum(part.share for part in shown) == pytest.approx(1 if genres else 0)

    artists = sorted(Counter(listens.artist).items(), key=lambda item: (-item[1], item[0]))
    assert [(part.name, part.streams) for part in artists_of(snapshot, view)] == artists[:10]

    page = song_ranking.songs(snapshot, view, 0, None)
    assert {(song.title, song.artist): song.streams for song in page.songs} == dict(
        Counter(zip(listens.title, listens.artist, strict=True))
    )
    assert [song.rank for song in page.songs] == list(range(1, page.found + 1))
    assert [song.streams for song in page.songs] == sorted((s.streams for s in page.songs), reverse=True)


@pytest.mark.parametrize("state", ["ALL", "TX"])
@pytest.mark.parametrize("genre", ["Rock", "Jazz"])
def test_a_page_of_one_genre_counts_it_alone(
    snapshot: Snapshot, world: World, state: str, genre: str
) -> None:
    view = View(date(2025, 2, 1), date(2025, 2, 9), state, marks=(("genre", genre),))
    everywhere = listens_of(world, View(view.first, view.last))
    by_state = Counter(everywhere[everywhere.genre == genre].state_code)
    assert {part.name: part.streams for part in streams.streams_by_state(snapshot, view)} == by_state
    listens = listens_of(world, view)
    of_genre = listens[listens.genre == genre]
    assert streams.count(snapshot, view) == len(of_genre)
    shown = genres_of(snapshot, view, None)
    assert {part.name: part.streams for part in shown} == Counter(listens.genre), "all, to choose from"
    artists = sorted(Counter(of_genre.artist).items(), key=lambda item: (-item[1], item[0]))
    found = artists_of(snapshot, view)
    assert [(part.name, part.streams) for part in found] == artists[:10]
    assert [part.share for part in found] == [count / len(of_genre) for _, count in artists[:10]]
    page = song_ranking.songs(snapshot, view, 0, None)
    assert {song.key: song.streams for song in page.songs} == Counter(of_genre.pk_song)
    assert [song.rank for song in page.songs] == list(range(1, page.found + 1))


def test_the_map_counts_every_state_whatever_state_is_chosen(snapshot: Snapshot, world: World) -> None:
    counted = Counter(between(world.listens, *(date(2025, 2, 1), date(2025, 2, 5))).state_code)
    for state in ("ALL", "TX"):
        view = View(date(2025, 2, 1), date(2025, 2, 5), state)
        assert {part.name: part.streams for part in streams.streams_by_state(snapshot, view)} == counted


def test_every_state_of_the_usa_can_be_chosen_in_the_order_of_names(snapshot: Snapshot) -> None:
    names = streams.state_names(snapshot)
    assert len(names) == 51
    assert names["VT"] == "Vermont"
    assert list(names.values()) == sorted(names.values())


def test_pages_of_songs_join_to_the_whole(snapshot: Snapshot) -> None:
    whole = song_ranking.songs(snapshot, WHOLE, 0, None)
    pages = [song_ranking.songs(snapshot, WHOLE, start, start + 50) for start in range(0, whole.found, 50)]
    assert [song for page in pages for song in page.songs] == whole.songs
    assert {(page.found, page.most) for page in pages} == {(whole.found, whole.songs[0].streams)}


def test_how_many_songs_were_played_is_told_against_the_week_before(snapshot: Snapshot, world: World) -> None:
    week = View(LAST_DAY - timedelta(days=6), LAST_DAY, "TX")
    before = replace(week, first=week.first - timedelta(days=7), last=week.last - timedelta(days=7))
    now, then = (listens_of(world, view).pk_song.nunique() for view in (week, before))
    assert now != then
    moved = f"{'up' if now > then else 'down'} {abs(now - then) / then:.1%}"
    assert songs_told(snapshot, week, now).startswith(f"{now} songs, {moved} on ")
    assert songs_told(snapshot, replace(week, search="rain"), 3) == "3 songs with “rain”"


@pytest.mark.parametrize("sort", ["rank", "title", "artist", "streams"])
@pytest.mark.parametrize("descending", [False, True])
def test_songs_are_sorted_through_all_pages(snapshot: Snapshot, sort: str, descending: bool) -> None:
    whole = song_ranking.songs(snapshot, WHOLE, 0, None).songs

    def key(song: song_ranking.Song) -> str | int:
        value = getattr(song, sort)
        return value.lower() if isinstance(value, str) else value

    wanted = sorted(whole, key=key, reverse=descending)  # stable: equal ones stay in rank order
    found = [
        song
        for start in range(0, len(whole), 100)
        for song in song_ranking.songs(snapshot, WHOLE, start, start + 100, sort, descending).songs
    ]
    assert found == wanted


def test_search_finds_titles_and_artists_and_keeps_the_ranks(snapshot: Snapshot) -> None:
    whole = song_ranking.songs(snapshot, WHOLE, 0, None).songs
    for text in ("rain", " FOXES ", "no such song", "%", "o"):
        wanted = [
            song
            for song in whole
            if text.strip().lower() in song.title.lower() or text.strip().lower() in song.artist.lower()
        ]
        page = song_ranking.songs(snapshot, View(FIRST_DAY, LAST_DAY, search=text), 0, 20)
        assert page.songs == wanted[:20]
        assert page.found == len(wanted)


WRITTEN = (
    ("Déjà Vu", "Beyoncé"),
    ("Last Summer to Zürich", "Röyksopp"),
    ("光", "宇多田ヒカル"),
    ("桜流し", "宇多田ヒカル"),
    ("Don’t Stop", "“Weird” Al"),
    ("Straße", "ＦＵＬＬ ＷＩＤＴＨ"),
    ("CafÃ©", "Latin"),
)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("beyoncé", 0),
        ("BEYONCÉ", 0),
        ("Beyonce\u0301", 0),
        ("déjà", 0),
        ("zürich", 1),
        ("  ZÜRICH ", 1),
        ("光", 2),
        ("桜", 3),
        ("don't", 4),
        ("don’t", 4),
        ("strasse", 5),
        ("full width", 5),
        ("café", 6),
    ],
)
def test_search_compares_text_folded_and_shows_it_as_it_came(tmp_path: Path, search: str, found: int) -> None:
    rows = pa.table(
        {
            "event_date": [FIRST_DAY] * len(WRITTEN),
            "state_code": ["ALL"] * len(WRITTEN),
            "pk_song": [f"{number:032x}" for number in range(len(WRITTEN))],
            "title": [title for title, _ in WRITTEN],
            "artist": [artist for _, artist in WRITTEN],
            "streams": [1] * len(WRITTEN),
        }
    )
    publish(tmp_path, {song_ranking.SONGS: {FIRST_DAY: rows}}, datetime(2025, 2, 12, tzinfo=UTC))
    page = song_ranking.songs(Snapshot.open(tmp_path), View(FIRST_DAY, FIRST_DAY, search=search), 0, 20)
    assert [(song.title, song.artist) for song in page.songs] == [WRITTEN[found]]


def test_a_page_ends_at_the_newest_hour_whatever_day_an_event_claims(tmp_path: Path, marts: Marts) -> None:
    """One listen of 2099 is no reason to show 28 days of 2099."""
    name, future = "mart_daily_state_streams", date(2099, 1, 1)
    of = marts[name] | {
        future: pa.table(
            {"event_date": [future], "state_code": ["CA"], "state": ["California"], "streams": [1]}
        )
    }
    as_of = datetime(2025, 2, 11, 14, tzinfo=UTC)
    publish(tmp_path, {name: of}, as_of)
    extent = board.extent("music", Snapshot.open(tmp_path))
    assert extent is not None
    assert extent.newest(28) == (date(2025, 1, 15), LAST_DAY)
    publish(tmp_path, {name: {future: of[future]}}, as_of, replace_all=True)
    assert board.extent("music", Snapshot.open(tmp_path)) is None
    publish(tmp_path, {name: of}, datetime(2025, 2, 11, tzinfo=UTC))
    assert board.extent("music", Snapshot.open(tmp_path)) == Extent(FIRST_DAY, date(2025, 2, 10))


def test_a_week_of_which_the_data_has_not_all_days_is_in_no_tile(tmp_path: Path, marts: Marts) -> None:
    """Neither the one in whose middle history begins, nor one to come."""
    weekly, first = marts["mart_weekly_users"], date(2025, 1, 15)  # a Wednesday
    far = date(2099, 1, 5)
    row = weekly[FIRST_DAY]
    of_2099 = row.set_column(row.column_names.index("week_start"), "week_start", pa.array([far]))
    publish(
        tmp_path,
        {
            "mart_weekly_users": {d: w for d, w in weekly.items() if d >= date(2025, 1, 13)} | {far: of_2099},
            "mart_daily_active_users": {
                d: rows for d, rows in marts["mart_daily_active_users"].items() if d >= first
            },
        },
        datetime(2025, 2, 5, 12, tzinfo=UTC),
    )
    weeks = kpi.weeks(Snapshot.open(tmp_path))
    assert weeks is not None
    assert [week.start for week in weeks.trend] == [date(2025, 1, 20), date(2025, 1, 27)]
    assert weeks.before is not None, "three weeks of history have two complete ones"
    assert not weeks.running


def test_songs_of_days_published_later_are_named(tmp_path: Path, marts: Marts) -> None:
    reader = SnapshotReader(tmp_path)
    name = "mart_daily_song_streams"
    publish(tmp_path, {name: {FIRST_DAY: marts[name][FIRST_DAY]}}, datetime(2025, 2, 12, tzinfo=UTC))
    first = song_ranking.songs(reader.current(), WHOLE, 0, None)
    publish(tmp_path, {name: marts[name]}, datetime(2025, 2, 12, tzinfo=UTC))
    both = song_ranking.songs(reader.current(), WHOLE, 0, None)
    assert 0 < first.found < both.found == len(both.songs)


def test_an_empty_snapshot_answers_with_nothing(tmp_path: Path) -> None:
    publish(tmp_path, {}, datetime(2025, 2, 12, tzinfo=UTC))
    snapshot = Snapshot.open(tmp_path)
    assert kpi.weeks(snapshot) is None
    assert board.extent("kpi", snapshot) is None
    assert board.extent("music", snapshot) is None
    assert daily_active_users(snapshot, [FIRST_DAY]) == [None]
    assert genres_of(snapshot, WHOLE) == []
    assert streams.streams_by_state(snapshot, WHOLE) == []
    assert song_ranking.songs(snapshot, WHOLE, 0, 10) == song_ranking.SongPage([], 0, 0)
    assert len(streams.state_names(snapshot)) == 51
