"""A week of real events, replayed and as Kafka Connect wrote them: both lakes give what plain Python expects."""

import csv
import gzip
import json
import os
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from streaming_assets.assets.serving import bring_up_to_date
from streaming_assets.bi.semantics import TIME, cubes
from streaming_assets.dashboards import kpi_queries, song_ranking, streams
from streaming_assets.dashboards.charts.artists import artists
from streaming_assets.dashboards.charts.daily_active_users import daily_active_users
from streaming_assets.dashboards.charts.daily_ad_revenue import daily_ad_revenue
from streaming_assets.dashboards.charts.genres import genres
from streaming_assets.dashboards.kpi_tiles import TILES
from streaming_assets.dashboards.metrics import metrics
from streaming_assets.dashboards.views import View
from streaming_assets.events import DEFAULT_TOPICS
from streaming_assets.lake.names import floor_hour, parse_object
from streaming_assets.published.analytics import DATABASE
from streaming_assets.published.asking import Analyst
from streaming_assets.published.snapshot import Snapshot
from streaming_assets.settings import PROJECT_ROOT, env_name, get_settings
from streaming_assets.testing.executor import MemoryWarehouse
from streaming_assets.testing.publishing import parsed_project, tables
from streaming_assets_tests.metricflow import MetricFlow, documented, in_words, plain
from streaming_assets_tests.properties.machine import assert_equal, project_executor, rows_of
from streaming_assets_tests.properties.reference import expected_tables
from streaming_assets_tests.properties.world import World, take_stock, whole_span

DATA = Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", PROJECT_ROOT.parent / "shared" / "data"))
COORDINATES = {"stream_epoch", "kafka_partition", "kafka_offset", "copies"}
SAME = ("stg_listen_events", "stg_page_view_events", "stg_status_change_events", "stg_users")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (DATA / "eventsim_sample").is_dir(),
        reason=f"no sample of real events in {DATA}: eventsim_sample/",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def replayed(folder: Path) -> tuple[World, MemoryWarehouse]:
    world = World(folder / "replayed")
    for topic in DEFAULT_TOPICS:
        by_hour = defaultdict(list)
        with gzip.open(DATA / "eventsim_sample" / f"{topic}.json.gz", "rt", newline="\n") as lines:
            for event in map(json.loads, lines):
                by_hour[floor_hour(datetime.fromtimestamp(event["ts"] / 1000, UTC))].append(event)
        for hour, events in sorted(by_hour.items()):
            world.append(topic, hour, events, "replay", 0, grow=False)
    return _materialised(world)


@pytest.fixture(scope="module")
def connected(folder: Path) -> tuple[World, MemoryWarehouse]:
    world = World(folder / "connected")
    with tarfile.open(DATA / "aiven_sink_objects.tar.gz") as archive:
        for member in archive:
            name = parse_object(member.name)
            if name is not None and (content := archive.extractfile(member)):
                world.put(name, gzip.decompress(content.read()).decode().split("\n"))
    return _materialised(world)


@pytest.mark.parametrize("lake", ["replayed", "connected"])
def test_warehouse_is_what_plain_python_expects(lake: str, request: pytest.FixtureRequest) -> None:
    world, warehouse = request.getfixturevalue(lake)
    expected = expected_tables(world.lines(), world.songs, world.locations)
    assert_equal(rows_of(warehouse, expected), rows_of(None, expected), "plain Python")
    assert len(expected["fact_listen_events"]) == 13_456, "every listen of the sample"


def test_both_lakes_give_the_same(
    replayed: tuple[World, MemoryWarehouse], connected: tuple[World, MemoryWarehouse]
) -> None:
    tables = [f"select * exclude ({', '.join(COORDINATES)}) from {table}" for table in SAME] + [
        "select * from fact_listen_events",
        "select * from fact_session_events",
        "select * from dim_users",
    ]
    for query in tables:
        found, wanted = (sorted(warehouse.rows(query), key=repr) for _, warehouse in (connected, replayed))
        assert found == wanted, query


def _materialised(world: World) -> tuple[World, MemoryWarehouse]:
    with gzip.open(DATA / "listen_counts.txt.gz", "rt", newline="\n") as lines:
        songs = [
            (track, artist, title, float(duration), None)
            for track, artist, title, duration, *_ in _fields(lines)
        ]
    with open(DATA / "US.txt", newline="\n") as lines:
        places = [tuple(value or None for value in fields[:5]) for fields in _fields(lines)]
    world.write_reference(songs, places)
    warehouse = MemoryWarehouse()
    take_stock(world, warehouse, whole_span(world))
    project_executor().run(warehouse, whole_span(world))
    return world, warehouse


def _fields(lines):
    return csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


@pytest.fixture(scope="module")
def published(folder: Path, replayed: tuple[World, MemoryWarehouse]) -> Path:
    """The folder of what is published of the replayed week."""
    published = bring_up_to_date(folder / "published", list(tables().values()), replayed[1])
    assert (published.refused, published.findings) == ([], [])
    return folder / "published"


def test_each_question_of_the_document_is_answered(
    replayed: tuple[World, MemoryWarehouse], published: Path
) -> None:
    """Of what is published, as `streaming-assets sql` asks it; facts and dimensions are published as they are."""
    _, warehouse = replayed
    document = (PROJECT_ROOT / "docs" / "questions.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", document, re.DOTALL)
    assert len(queries) == len(re.findall(r"^## \d+\. ", document, re.MULTILINE)) > 5
    with Analyst.reading(published, timeout=60) as analyst:
        for query in queries:
            with analyst.asked(*analyst.queries(query)) as answer:
                assert answer.fetchone(), query
        for name in tables():
            counted = f"select count(*) from {name}"
            with analyst.asked(counted) as answer:
                assert answer.fetchone() == warehouse.rows(counted)[0] > (0,), name


def test_the_notebook_shows_what_sql_counts(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming_assets.published import questions_notebook

    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(published.parent))
    _, defined = questions_notebook.app.run()
    shown = {
        name: list(defined[name].itertuples(index=False, name=None))
        for name in ("plays", "retention", "sessions")
    }
    with duckdb.connect(published / DATABASE, read_only=True) as connection:
        listens = connection.execute("""
            select state, user_id, title from fact_listen_events natural join dim_locations natural join
            (select pk_song, title from dim_songs) where event_datetime >= (select as_of - interval 1 day from snapshot)
        """).fetchall()
        sessions = connection.execute("""
            select user_id, session_start_datetime, session_seconds from fact_session_events
        """).fetchall()
        ((as_of,),) = connection.execute("select as_of from snapshot").fetchall()
    plays = defaultdict(list)
    for state, user, title in listens:
        plays[state].append((user, title))
    assert [row[:3] for row in shown["plays"]] == sorted(
        ((state, len(of), len({user for user, _ in of})) for state, of in plays.items()),
        key=lambda row: (-row[1], row[0]),
    )
    assert len(shown["plays"]) > 40
    for state, *_, song in shown["plays"]:
        titles = Counter(title for _, title in plays[state])
        assert titles[song] == max(titles.values())
    weeks = defaultdict(set)
    for user, start, _ in sessions:
        monday = start.date() - timedelta(start.weekday())
        if monday + timedelta(7) <= as_of.date():
            weeks[user].add(monday)
    users = Counter((min(of), (week - min(of)).days // 7) for of in weeks.values() for week in of)
    assert [(cohort.date(), *row) for cohort, *row in shown["retention"]] == [
        (cohort, later, count, count / users[cohort, 0]) for (cohort, later), count in sorted(users.items())
    ]
    lengths = Counter(int(seconds // 900 * 15) for _, _, seconds in sessions)
    assert shown["sessions"] == sorted(lengths.items())


STATE = "CA"


@contextmanager
def metrics_of(published: Path) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Gives the answer to a `mf query` of the readers' database."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published / DATABASE}' as warehouse (read_only)")
        yield partial(MetricFlow(parsed_project()).rows, connection)


def test_the_pages_show_the_numbers_that_metricflow_answers(published: Path) -> None:
    """Each tile and chart, from its mart, against what docs/metrics.md asks of the facts."""
    snapshot = Snapshot.open(published)
    weeks = kpi_queries.weeks(snapshot)
    assert weeks is not None
    days = snapshot.days(kpi_queries.ACTIVE_USERS)
    view = View(days[0], days[-1], STATE)
    price = get_settings().dashboards.subscription_price_usd
    shown: dict[str, list[list[tuple[Any, ...]]]] = {
        tile.name: [[(week.start, tile.value(week, price)) for week in weeks.trend]] for tile in TILES
    }
    users = list(filter(None, daily_active_users(snapshot, days)))
    shown["daily-active-users"] = [
        [(on.day, level, getattr(on, level)) for on in users for level in ("free", "paid")],
        [(on.day, on.all) for on in users],
    ]
    shown["daily-ad-revenue"] = [list(zip(days, daily_ad_revenue(snapshot, days), strict=True))]
    for name, slices in (
        ("states", streams.streams_by_state(snapshot, view)),
        ("genres", genres(snapshot, view, None)),
        ("artists", artists(snapshot, view)),
    ):
        shown[name] = [[(part.name, part.streams) for part in slices]]
    songs = song_ranking.songs(snapshot, view, 0, None).songs
    shown["songs"] = [[(song.title, song.artist, song.streams) for song in songs]]

    commands = documented()
    assert commands.keys() == shown.keys()
    with metrics_of(published) as asked_of:
        for name, answers in shown.items():
            for answer, command in zip(answers, commands[name], strict=True):
                for said, here in (
                    ("2025-01-13", view.first),
                    ("2025-02-11", view.last),
                    ("'TX'", f"'{STATE}'"),
                ):
                    command = command.replace(said, str(here))
                asked = asked_of(command)
                if name == "songs":  # a page's row does not show the song's key
                    asked = [row[1:] for row in asked]
                assert answer
                assert sorted(asked) == sorted(plain(answer)), command


def test_other_tools_get_metricflows_numbers_as_aggregates_over_one_table(published: Path) -> None:
    price = {env_name("subscription_price_usd"): get_settings().dashboards.subscription_price_usd}
    by = {"listens": "song__genre", "sessions": "location__state_code"}
    compared = []
    with (
        metrics_of(published) as asked_of,
        duckdb.connect(published / DATABASE, read_only=True) as connection,
    ):
        for cube in cubes(price):
            for metric in cube.metrics:
                for grain, more in (("week", ""), ("day", f",{by[cube.name]}")):
                    command = f"mf query --metrics {metric.name} --group-by metric_time__{grain}{more}"
                    if metric.name == "weekly_recurring_revenue":  # which MetricFlow tells of weeks alone
                        command = command.replace("__day", "__week")
                    at = re.findall("__(day|week)", command)[0]
                    found = connection.execute(
                        f"select date_trunc('{at}', {TIME}){more}, {metric.sql} from ({cube.sql}) group by all"
                    ).fetchall()
                    ours, asked = Counter(plain(found)), Counter(asked_of(command))
                    assert asked <= ours, command
                    # Of a group without a row that meets the metric's condition MetricFlow alone says nothing.
                    assert {row[-1] for row in ours - asked} <= {0}, command
                    compared.append(len(found))
    assert len(compared) == 2 * len(metrics())
    assert max(compared) > 100


def test_metrics_of_a_month_are_what_plain_python_counts(
    published: Path, replayed: tuple[World, MemoryWarehouse]
) -> None:
    _, warehouse = replayed
    sessions = warehouse.rows("select user_id, level, session_seconds from fact_session_events")
    listens = warehouse.rows("select user_id from fact_listen_events")
    users, paid = {user for user, *_ in sessions}, {user for user, level, _ in sessions if level == "paid"}
    expected = {
        "active_users": len(users),
        "paid_users": len(paid),
        "free_users": len(users - paid),
        "sessions": len(sessions),
        "session_length": sum(seconds for *_, seconds in sessions) / len(sessions),
        "listens": len(listens),
        "listeners": len(set(listens)),
        "listens_per_user": len(listens) / len(set(listens)),
    }
    assert len({*expected.values()}) == len(expected), "no two of them could be taken for each other"
    with metrics_of(published) as asked_of:
        for metric, value in expected.items():
            answer = asked_of(f"mf query --metrics {metric} --group-by metric_time__month")
            assert answer == plain([(date(2025, 4, 1), value)]), metric
        assert in_words()
        for command in in_words():
            assert asked_of(command), command
