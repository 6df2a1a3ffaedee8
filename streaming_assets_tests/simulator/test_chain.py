"""Expectations solved from the configuration, against known exact values and against the simulation."""

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest

from streaming_assets.simulator.chain import Chain, acceptance, sessions_a_week
from streaming_assets.simulator.config import DEFAULT_CONFIG, read_config
from streaming_assets.simulator.explain import page_shares
from streaming_assets.simulator.making.site import default_config
from streaming_assets_tests.simulator.configs import (
    as_config,
    busier,
    with_dead_advertisement,
    with_outage,
    without_advertisements,
)
from streaming_assets_tests.simulator.runs import Output, plan, run

Group = tuple[str, str]
IN_FREE, IN_PAID = ("Logged In", "free"), ("Logged In", "paid")


@pytest.mark.parametrize(
    ("group", "events", "songs", "one_event"),
    [
        (("Guest", "free"), 3.092, 0.526, 0.405),
        (IN_FREE, 2.850, 2.001, 0.358),
        (("Logged Out", "free"), 4.096, 1.159, 0.166),
        (IN_PAID, 29.642, 26.957, 0.049),
        (("Logged Out", "paid"), 16.667, 13.360, 0.303),
    ],
)
def test_published_values_of_the_dead_advertisement(
    group: Group, events: float, songs: float, one_event: float
) -> None:
    session = Chain(as_config(with_dead_advertisement(default_config()))).session(group)
    assert session.events == pytest.approx(events, abs=6e-4)
    assert session.pages["NextSong"] == pytest.approx(songs, abs=6e-4)
    assert session.one_event == pytest.approx(one_event, abs=6e-4)
    assert sum(session.ends.values()) == pytest.approx(1.0)


def test_mended_advertisement_lengthens_free_sessions() -> None:
    session = Chain(read_config(DEFAULT_CONFIG)).session(IN_FREE)
    assert session.events == pytest.approx(3.235, abs=6e-4)
    assert session.pages["PlayAd"] == pytest.approx(0.1467, abs=6e-5)


def test_nearly_every_session_of_an_outage_ends_in_its_error() -> None:
    chain = Chain(as_config(with_outage(default_config())))
    for group in chain.groups():
        session = chain.session(group)
        assert 1.35 < session.events < 1.85
        assert 0.97 < session.touches["Error"] < 0.995


def test_rates_of_the_default_configuration() -> None:
    config = read_config(DEFAULT_CONFIG)
    assert acceptance(config) == pytest.approx(0.857, abs=5e-4)
    assert 2.15 < sessions_a_week(config) < 2.35


CONFIGS: dict[str, Any] = {
    "default": default_config,
    "dead advertisement": lambda: with_dead_advertisement(default_config()),
    "no advertisements": lambda: without_advertisements(default_config()),
    "busier": lambda: busier(default_config()),
    "outage": lambda: with_outage(default_config()),
}


@pytest.fixture(scope="module", params=enumerate(CONFIGS), ids=str)
def simulated(request: pytest.FixtureRequest) -> tuple[Chain, Output]:
    seed, name = request.param
    config = as_config(CONFIGS[name]())
    topics = ("page_view_events", "session_start_end_events")
    output = run(plan(config, users=4000, seed=seed), length=5 * 86_400_000, topics=topics)
    return Chain(config), output


def test_sessions_agree_with_the_chain(simulated: tuple[Chain, Output]) -> None:
    chain, output = simulated
    sessions = _complete_sessions(output)
    assert len(sessions) > 3000
    by_group: dict[Group, list[list[dict[str, Any]]]] = defaultdict(list)
    for session in sessions:
        by_group[session[0]["auth"], session[0]["level"]].append(session)
    for group, members in by_group.items():
        expected = chain.session(group)
        _agree([len(s) for s in members], expected.events, group)
        _agree([len(s) == 1 for s in members], expected.one_event, group)
        for page, visits in expected.pages.items():
            if visits * len(members) > 30:
                _agree([sum(e["page"] == page for e in s) for s in members], visits, (group, page))
                touched = [any(e["page"] == page for e in s) for s in members]
                _agree(touched, expected.touches[page], (group, page))


def test_transitions_agree_with_the_configuration(simulated: tuple[Chain, Output]) -> None:
    chain, output = simulated
    moves: dict[tuple, Counter[tuple]] = defaultdict(Counter)
    for session in _complete_sessions(output):
        states = [_state(event) for event in session]
        for source, dest in zip(states, [*states[1:], ("end",)], strict=True):
            moves[source][dest] += 1
    expected: dict[tuple, dict[tuple, float]] = defaultdict(dict)
    for transition in chain.config.transitions:
        expected[tuple(transition.source)][tuple(transition.dest)] = transition.p
    for source, counts in moves.items():
        p = dict(expected[source])
        p[("end",)] = max(1.0 - sum(p.values()), 0.0)
        n = counts.total()
        assert all(p.get(dest, 0.0) > 1e-9 for dest in counts), (source, counts)
        chosen = [dest for dest in p if n * p[dest] >= 5]
        statistic = sum((counts[dest] - n * p[dest]) ** 2 / (n * p[dest]) for dest in chosen)
        freedom = max(len(chosen) - 1, 1)
        # Wilson and Hilferty's normal approximation of chi-square; 4.5 standard errors
        z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
        assert z < 4.5, (source, n, counts)


def test_first_sessions_have_the_page_shares_of_explain(simulated: tuple[Chain, Output]) -> None:
    chain, output = simulated
    first = [s for s in _complete_sessions(output) if s[0]["sessionId"] < 10**9]
    mix = Counter((s[0]["auth"], s[0]["level"]) for s in first)
    total = mix.total()
    shares = page_shares(chain, {group: count / total for group, count in mix.items()})
    lengths = np.array([len(s) for s in first], dtype=float)
    for page, share in shares.items():
        if share * lengths.sum() > 50:
            visits = np.array([sum(e["page"] == page for e in s) for s in first], dtype=float)
            error = np.sqrt(np.var(visits - share * lengths) * len(first)) / lengths.sum()
            assert abs(visits.sum() / lengths.sum() - share) < 4.5 * error, page


def _complete_sessions(output: Output) -> list[list[dict[str, Any]]]:
    """The page views of each session that began within the run's first half, most of which have ended."""
    views: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in output.events("page_view_events"):
        views[event["sessionId"]].append(event)
    started = [e for e in output.events("session_start_end_events") if not e["isEnd"]]
    middle = (started[0]["ts"] + started[-1]["ts"]) / 2
    return [views[e["sessionId"]] for e in started if e["ts"] < middle]


def _state(event: dict[str, Any]) -> tuple:
    return (event["page"], event["method"], event["status"], event["auth"], event["level"])


def _agree(values: list[Any], expected: float, what: object) -> None:
    sample = np.array(values, dtype=float)
    error = max(float(sample.std()), 0.5 / math.sqrt(len(sample))) / math.sqrt(len(sample))
    assert abs(sample.mean() - expected) < 5 * error, (what, sample.mean(), expected, error, len(sample))
