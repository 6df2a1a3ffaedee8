"""A run with the original's configuration and data files has the original's statistics, row by row.

What is mended here (docs/simulator.md) is put back before it is compared: repeated announcements of logins and
session starts are counted from the page views by the original's rule, repeated user_info from the steps.
"""

import json
from threading import Event
from typing import Any

import numpy as np
import pytest

from streaming_assets.events import TOPICS
from streaming_assets.simulator.catalogue import Files
from streaming_assets.simulator.config import read_config
from streaming_assets.simulator.processes import open_source
from streaming_assets.simulator.run import Span, batches
from streaming_assets.simulator.simulation import Plan, Share
from streaming_assets.simulator.walk import Steps
from streaming_assets.simulator.writers.files import FilesWriter
from streaming_assets_tests.simulator import reference
from streaming_assets_tests.simulator.reference import CLUSTERS, DATA, STATISTICS, Estimate, Run
from streaming_assets_tests.simulator.runs import START, WEEK, plan

pytestmark = pytest.mark.skipif(not STATISTICS.exists(), reason=f"no statistics of the original in {DATA}")

USERS = 8000
WEEKS = 4
LEAST_EVENTS = 25  # a row that rests on fewer events is too rare to be judged
STANDARD_ERRORS = 5.0


@pytest.fixture(scope="module")
def original() -> dict[str, Any]:
    return json.loads(STATISTICS.read_text())


@pytest.fixture(scope="module", params=[7, 8], ids=lambda seed: f"seed {seed}")
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


def original_plan(seed: int, users: int = USERS) -> Plan:
    files = Files(
        songs=DATA / "listen_counts.txt.gz",
        places=DATA / "US.txt",
        population=DATA / "Gaz_zcta_derived.txt.gz",
        first_names=DATA / "yob1990.txt",
        surnames=DATA / "Top1000Surnames.csv",
        user_agents=DATA / "user agents.txt",
    )
    return plan(read_config(DATA / "ad-config.json"), files=files, users=users, seed=seed)


@pytest.fixture(scope="module")
def ran(seed: int, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp(f"reference-{seed}")
    a_plan = original_plan(seed)
    end = START + WEEKS * WEEK
    span = Span(a_plan.start_second, a_plan.start_second, a_plan.second(end), real_time=False)
    writer = FilesWriter(folder, TOPICS, append=False, daily=False)
    source = open_source(a_plan, TOPICS, writer.line_end, 1)
    for batch in batches(source, span, Event()):
        writer.write(batch.lines)
    writer.close()
    run = Run(folder, USERS, START, end)
    for topic in TOPICS:
        (folder / f"{topic}.json").unlink()
    return run


@pytest.mark.parametrize("row", reference.SHARES)
def test_shares(ran: Run, original: dict[str, Any], row: str) -> None:
    shares = ran.shares(*reference.SHARES[row])
    expected = _across_seeds(original, row)
    assert expected
    failures = []
    for name, share in expected.items():
        found = shares.get(name)
        if found is None:
            total = next(iter(shares.values())).denominator.sum()
            assert share * total < LEAST_EVENTS, name
        elif share * found.denominator.sum() >= LEAST_EVENTS:
            failures += _difference(f"{row}/{name}", found, share)
    assert not failures


@pytest.mark.parametrize("row", reference.SHARES_OF_USERS)
def test_shares_of_users(ran: Run, original: dict[str, Any], row: str) -> None:
    shares = ran.shares("users where gender is not null", reference.SHARES_OF_USERS[row])
    users = original["meta"]["nusers"]
    failures = []
    for name, share in original[row]["shares"].items():
        failures += _difference(f"{row}/{name}", shares[name], share, users)
    assert not failures


@pytest.mark.parametrize("row", reference.DISTRIBUTIONS)
def test_distributions(ran: Run, original: dict[str, Any], row: str) -> None:
    rows, value = reference.DISTRIBUTIONS[row]
    expected = _across_seeds(original, row)
    failures = _difference(f"{row}/mean", ran.mean(rows, value), expected["mean"])
    for name, probability, quantile in reference.quantiles(expected):
        # The distribution has atoms: the quantile's probability lies between those below it and up to it.
        step = 1e-3 * max(1.0, abs(quantile)) if row == "listen_duration" else 0.5
        below = ran.mean(rows, f"({value} < {quantile} - {step})::int")
        up_to = ran.mean(rows, f"({value} <= {quantile} + {step})::int")
        if up_to.value < probability:
            failures += _difference(f"{row}/{name}", up_to, probability)
        if below.value > probability:
            failures += _difference(f"{row}/{name}", below, probability)
    assert not failures


@pytest.mark.parametrize("row", reference.MEANS)
def test_means(ran: Run, original: dict[str, Any], row: str) -> None:
    expected = original["across_seeds"]["values"][row][0]
    assert not _difference(row, ran.mean(*reference.MEANS[row]), expected)


@pytest.mark.parametrize("row", reference.COUNTS)
def test_counts(ran: Run, original: dict[str, Any], row: str) -> None:
    expected = original["across_seeds"]["values"][row][0] / original["meta"]["nusers"]
    assert not _difference(row, ran.per_user(*reference.COUNTS[row]), expected)


@pytest.mark.parametrize("group", ["Logged In|free", "Logged In|paid", "Logged Out|free", "Logged Out|paid"])
def test_sessions_by_start_state(ran: Run, original: dict[str, Any], group: str) -> None:
    auth, level = group.split("|")
    rows = f"sessions where auth = '{auth}' and level = '{level}'"
    failures = []
    for name, value in reference.PER_START_STATE.items():
        expected = original["across_seeds"]["values"][f"by_start_state/{group}/{name}"][0]
        found = ran.mean(rows, value)
        if expected * found.denominator.sum() >= LEAST_EVENTS:
            failures += _difference(f"{group}/{name}", found, expected)
    assert not failures


def test_user_info_with_the_originals_repetitions(original: dict[str, Any], seed: int) -> None:
    share = Share(original_plan(seed), TOPICS, "")
    steps = share.walk.advance(share.users, (START + WEEKS * WEEK) // 1000)
    who, time = _original_user_info(steps, share.walk.is_end)
    counts = np.bincount(who, minlength=len(steps.people))
    cluster = np.arange(len(counts)) % CLUSTERS
    values = original["across_seeds"]["values"]

    def by_cluster(values: np.ndarray) -> np.ndarray:
        return np.bincount(cluster, weights=values, minlength=CLUSTERS)

    informed = by_cluster(counts > 0)
    failures = _difference(
        "per user", Estimate(by_cluster(counts), informed), values["user_info_per_user"][0]
    )
    for times in range(1, 6):
        expected = values[f"user_info_count_dist/shares/{times}"][0]
        failures += _difference(f"{times} times", Estimate(by_cluster(counts == times), informed), expected)
    days = (time - START // 1000) / 86_400
    records = by_cluster(counts)

    def share_of(chosen: np.ndarray) -> Estimate:
        return Estimate(np.bincount(who[chosen] % CLUSTERS, minlength=CLUSTERS).astype(float), records)

    failures += _difference("before start", share_of(days < 0), values["user_info_before_start_share"][0])
    for name, probability, quantile in reference.quantiles(
        _across_seeds(original, "user_info_ts_rel_start_days")
    ):
        failures += _difference(name, share_of(days <= quantile), probability)
    assert not failures


def _original_user_info(steps: Steps, is_end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(user, time) of the user_info that the original writes: again after each session of one event only."""
    order = np.argsort(steps.who, kind="stable")
    who, time, ends = steps.who[order], steps.time[order], is_end[steps.node[order]]
    introduces = steps.introduces[order]
    last = np.append(ends[1:] & (who[1:] == who[:-1]), False)  # of its session
    views = ~ends
    who, time, last, introduces = who[views], time[views], last[views], introduces[views]
    first = np.maximum.accumulate(np.where(introduces, np.arange(len(who)), -1))
    known = (first >= 0) & (who[np.maximum(first, 0)] == who)
    stays = np.concatenate(([0], np.cumsum(~last)))  # steps before this one that went on
    written = known & (stays[:-1] == stays[np.maximum(first, 0)])
    return who[written], time[written]


def _across_seeds(original: dict[str, Any], row: str) -> dict[str, float]:
    """The means over the original's seeds of all values below a row."""
    values = original["across_seeds"]["values"]
    return {
        path.removeprefix(row + "/"): value[0] for path, value in values.items() if path.startswith(row + "/")
    }


def _difference(
    name: str, found: Estimate, expected: float, reference_users: int = reference.REFERENCE_USERS
) -> list[str]:
    """Nothing, or in words what is further away than the sampling errors of both samples allow."""
    n = found.denominator.sum()
    value = found.value
    plain = np.sqrt(max(expected * (1 - expected), 0.0) / n) if 0 <= expected <= 1 else 0.0
    error = max(found.error, plain) * np.sqrt(1 + USERS / reference_users)
    if abs(value - expected) <= STANDARD_ERRORS * error + 1e-4 * abs(expected):
        return []
    return [f"{name}: {value:.6g}, the original {expected:.6g}, error {error:.2g}"]
