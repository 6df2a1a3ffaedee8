"""What holds of every run: each event's place in its session, its user, its topic; and growth and attrition."""

import math
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streaming_assets.events import TOPICS
from streaming_assets.simulator.catalogue import Files, load_catalogue
from streaming_assets.simulator.config import DEFAULT_CONFIG, read_config
from streaming_assets.simulator.making.site import default_config
from streaming_assets_tests.simulator.configs import as_config
from streaming_assets_tests.simulator.runs import START, WEEK, Output, plan, run

Event = dict[str, Any]
YEAR = 31_557_600_000  # ms
LENGTH = 2 * WEEK


@pytest.fixture(scope="module")
def output() -> Output:
    return run(plan(users=1500, growth=10.0, seed=11, start=START + 250), length=LENGTH)


@pytest.fixture(scope="module")
def views(output: Output) -> list[Event]:
    return output.events("page_view_events")


@pytest.fixture(scope="module")
def sessions(output: Output, views: list[Event]) -> list[list[Event]]:
    """Page views of the sessions that began after the start, in order."""
    found: dict[int, list[Event]] = defaultdict(list)
    for event in views:
        found[event["sessionId"]].append(event)
    return [events for events in found.values() if events[0]["itemInSession"] == 0]


def key(event: Event) -> tuple[int, int, int]:
    return event["ts"], event["sessionId"], event["itemInSession"]


def state(event: Event) -> tuple:
    return event["page"], event["method"], event["status"], event["auth"], event["level"]


def test_topics_repeat_their_page_views(output: Output, views: list[Event]) -> None:
    for topic, pages in (
        ("listen_events", {"NextSong"}),
        ("status_change_events", {"Submit Upgrade", "Submit Downgrade"}),
    ):
        chosen = [key(e) for e in views if e["page"] in pages]
        assert chosen
        assert [key(e) for e in output.events(topic)] == chosen


def test_advertisements_pay(views: list[Event]) -> None:
    values = {e.get("ad_revenue") for e in views if e["page"] == "PlayAd"}
    assert values == {0.005, 0.006, 0.007, 0.008, 0.009, 0.01}


def test_topics_are_in_the_order_of_time(output: Output) -> None:
    for topic in TOPICS:
        times = [event["ts"] for event in output.events(topic)]
        assert times == sorted(times)
        assert all(ts % 1000 == 250 for ts in times)
        assert times[-1] < START + 250 + LENGTH
        assert topic == "user_info" or times[0] >= START + 250


def test_items_count_from_zero_and_pages_follow_the_configuration(sessions: list[list[Event]]) -> None:
    config = read_config(DEFAULT_CONFIG)
    moves = {(tuple(t.source), tuple(t.dest)) for t in config.transitions}
    entries = {tuple(e.state) for e in config.entries}
    assert len(sessions) > 5000
    for events in sessions:
        assert [e["itemInSession"] for e in events] == list(range(len(events)))
        assert state(events[0]) in entries
        assert all((state(a), state(b)) in moves for a, b in pairwise(events))


def test_redirects_take_a_second_and_songs_their_duration(
    output: Output, sessions: list[list[Event]]
) -> None:
    songs = {key(e): e for e in output.events("listen_events")}
    pairs = 0
    for before, after in (pair for events in sessions for pair in pairwise(events)):
        gap = after["ts"] - before["ts"]
        assert gap >= 0
        if 300 <= after["status"] <= 398:
            assert gap == 1000
        if before["page"] == "NextSong" and after["page"] in ("NextSong", "PlayAd"):
            assert gap == int(songs[key(before)]["duration"]) * 1000
            pairs += 1
    assert pairs > 10_000


def test_each_session_is_announced_once_and_ends_once(output: Output, sessions: list[list[Event]]) -> None:
    bounds: dict[tuple[int, bool], list[Event]] = defaultdict(list)
    for event in output.events("session_start_end_events"):
        bounds[event["sessionId"], event["isEnd"]].append(event)
    assert all(len(events) == 1 for events in bounds.values())
    ended = 0
    for events in sessions:
        (begun,) = bounds[events[0]["sessionId"], False]
        assert key(begun) == key(events[0])
        for end in bounds.get((events[0]["sessionId"], True), ()):
            last = events[-1]
            assert key(end) == (last["ts"] + 1000, last["sessionId"], last["itemInSession"] + 1)
            assert (end["auth"], end["level"]) == (last["auth"], last["level"])
            assert last["auth"] != "Cancelled"
            ended += 1
    assert ended > 0.95 * len(sessions)


def test_sessions_of_a_user_follow_each_other(sessions: list[list[Event]]) -> None:
    by_user: dict[int, list[list[Event]]] = defaultdict(list)
    for events in sessions:
        by_user[events[0]["sessionId"] % 10**9].append(events)
    config = read_config(DEFAULT_CONFIG)
    for of_user in by_user.values():
        assert [e[0]["sessionId"] // 10**9 for e in of_user] == list(
            range(of_user[0][0]["sessionId"] // 10**9, of_user[-1][0]["sessionId"] // 10**9 + 1)
        )
        for before, after in pairwise(of_user):
            assert after[0]["ts"] >= before[-1]["ts"] + 1000
            assert (after[0]["auth"], after[0]["level"]) == (before[-1]["auth"], before[-1]["level"])
            assert before[-1]["auth"] != config.churned_state


def test_logins_are_announced_once_where_they_lead(output: Output, sessions: list[list[Event]]) -> None:
    expected = {
        key(after): after["auth"] == "Logged In"
        for events in sessions
        for before, after in pairwise(events)
        if before["page"] == "Login"
    }
    whole = {events[0]["sessionId"] for events in sessions}
    announced = [e for e in output.events("auth_events") if e["sessionId"] in whole]
    assert {key(e): e["success"] for e in announced} == expected
    assert len(announced) == len(expected) > 100


def test_users_stay_the_same_and_are_introduced_once(output: Output, views: list[Event]) -> None:
    device = ("city", "zip", "state", "userAgent", "lon", "lat")
    person = ("userId", "lastName", "firstName", "gender", "registration")
    devices: dict[int, set] = defaultdict(set)
    people: dict[int, set] = defaultdict(set)
    for event in views:
        ordinal = event["sessionId"] % 10**9
        devices[ordinal].add(tuple(event[f] for f in device))
        if "userId" in event:
            assert event["userId"] == ordinal
            people[ordinal].add(tuple(event[f] for f in person))
    assert all(len(found) == 1 for found in (*devices.values(), *people.values()))
    introduced = output.events("user_info")
    ids = [e["userId"] for e in introduced]
    assert len(set(ids)) == len(ids)
    assert set(people) <= set(ids)
    for event in introduced:
        assert START + 250 - 157_788_000_000 <= event["registration"] <= START + 250
        if event["userId"] in people:
            assert people[event["userId"]] == {tuple(event[f] for f in person)}
    first_seen = {}
    for event in views:
        if "userId" in event:
            first_seen.setdefault(event["userId"], event["ts"])
    assert all(e["ts"] <= first_seen[e["userId"]] for e in introduced if e["userId"] in first_seen)


def test_some_users_are_introduced_before_the_start_but_no_newcomer(output: Output) -> None:
    times = {e["userId"]: e["ts"] for e in output.events("user_info")}
    assert any(ts < START for user, ts in times.items() if user <= 1500)
    assert all(ts >= START for user, ts in times.items() if user > 1500)


@pytest.mark.parametrize("growth", [0.0, 2.0, 12.0])
def test_growth_is_exponential(growth: float) -> None:
    users, weeks = 3000, 6
    seen: set[int] = set()
    for event in run(plan(users=users, growth=growth, seed=5), length=weeks * WEEK).events(
        "page_view_events"
    ):
        seen.add(event["sessionId"] % 10**9)
    # Users are numbered as they join, so the largest number tells how many have joined, but for the last few.
    expected = users * math.exp(growth * weeks * WEEK / YEAR)
    assert abs(max(seen) - expected) < 5 * math.sqrt(expected) * max(growth / 2, 0.1)


def test_newcomers_begin_as_guests() -> None:
    found = run(plan(users=200, growth=50.0), length=WEEK).events("page_view_events")
    first = [e for e in found if 200 < e["sessionId"] < 10**9 and e["itemInSession"] == 0]
    assert len(first) > 50
    assert {(e["auth"], e["level"]) for e in first} == {("Guest", "free")}


def test_registrations_follow_the_growth_rate() -> None:
    growth = 5.0
    events = run(plan(users=4000, growth=growth, seed=2), length=WEEK).events("user_info")
    ages = np.array([START - e["registration"] for e in events]) / YEAR
    capped = np.mean(ages >= 4.99)
    assert abs(capped - math.exp(-5.0 / growth)) < 4.5 * math.sqrt(0.37 * 0.63 / len(ages))
    assert {e["registration"] for e in run(plan(users=50)).events("user_info")} == {START}


def test_attrition_is_a_yearly_rate() -> None:
    config = default_config()
    config["transitions"] = [t for t in config["transitions"] if t["dest"]["page"] != "Cancel"]
    config["beta"] = 86_400.0
    rate, weeks = 4.0, 8
    events = run(plan(as_config(config), users=3000, attrition=rate, seed=9), length=weeks * WEEK).events(
        "session_start_end_events"
    )
    last = START + weeks * WEEK
    begins = [(e["ts"], e["sessionId"] % 10**9) for e in events if not e["isEnd"]]
    early = {user for ts, user in begins if ts < START + WEEK}
    late = {user for ts, user in begins if ts >= last - WEEK}
    active = run(plan(as_config(config), users=3000, seed=9), length=weeks * WEEK).events(
        "session_start_end_events"
    )
    stayed = {e["sessionId"] % 10**9 for e in active if not e["isEnd"] and e["ts"] >= last - WEEK}
    left = 1 - len(early & late) / len(early & stayed)
    expected = 1 - math.exp(-rate * (weeks - 1) * WEEK / YEAR)
    assert abs(left - expected) < 0.06


def test_cancelling_is_for_good() -> None:
    config = default_config()
    for transition in config["transitions"]:
        if transition["dest"]["page"] == "Cancel":
            transition["p"] = 0.1
    events = run(plan(as_config(config), users=800, seed=6), length=2 * WEEK).events("page_view_events")
    gone: set[int] = set()
    for event in events:
        user = event["sessionId"] % 10**9
        assert user not in gone
        if event["page"] == "Cancellation Confirmation":
            gone.add(user)
    assert len(gone) > 10


def test_songs_come_by_listen_count(output: Output) -> None:
    catalogue = load_catalogue(Files())
    weights = np.asarray(catalogue.songs.weights)
    number = {(artist, title): n for n, (artist, title, _) in enumerate(catalogue.songs.rows)}
    plays = np.zeros(len(weights))
    for event in output.events("listen_events"):
        plays[number[event["artist"], event["song"]]] += 1
    expected = plays.sum() * weights / weights.sum()
    top = 200
    statistic = float(((plays[:top] - expected[:top]) ** 2 / expected[:top]).sum())
    assert abs(statistic - top) < 5 * math.sqrt(2 * top)


def test_similar_songs_follow_each_other(tmp_path) -> None:
    catalogue = load_catalogue(Files())
    rows = (tmp_path / "songs.tsv", tmp_path / "similar.csv")
    rows[0].write_text("".join(f"T{n}\tA{n}\tS{n}\t10.5\t{n + 1}\tPop\n" for n in range(6)))
    rows[1].write_text("T0,T1\nT0,T2\nT1,T0\nT2,T0\nT3,T9\n")
    files = Files(songs=rows[0], similar_songs=rows[1])
    listens = run(plan(files=files, users=300), topics=["listen_events"]).events("listen_events")
    assert catalogue.similar == {}
    following: dict[str, list[str]] = defaultdict(list)
    for before, after in pairwise(sorted(listens, key=lambda e: (e["sessionId"], e["itemInSession"]))):
        if before["sessionId"] == after["sessionId"]:
            following[before["song"]].append(after["song"])
    assert set(following["S1"]) == set(following["S2"]) == {"S0"}
    assert set(following["S0"]) == {"S1", "S2"}
    share = np.mean([song == "S2" for song in following["S0"]])
    assert abs(share - 3 / 5) < 5 * math.sqrt(0.24 / len(following["S0"]))
    assert set(following["S3"]) == {f"S{n}" for n in range(6)}
