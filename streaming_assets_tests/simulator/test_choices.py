"""Options and the configuration's values, met in a plan and a span."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streaming_assets.simulator.choices import ChoiceError, Choices, chosen_topics
from streaming_assets.simulator.config import DEFAULT_CONFIG, Config, read_config

NOW = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def bare() -> Config:
    """The bundled configuration without what options may say as well."""
    return replace(
        read_config(DEFAULT_CONFIG), users=None, growth_rate=None, start=None, end=None, seed=None, tag=None
    )


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def test_defaults_hold_where_nothing_is_said(bare: Config) -> None:
    plan, span = Choices().plan_and_span(bare, NOW)
    assert (plan.users, plan.growth, plan.attrition, plan.seed, plan.tag) == (1, 0.0, 0.0, 0, None)
    start, end = NOW - timedelta(days=15), NOW - timedelta(days=1)
    assert (span.start, span.deliver_from, span.end) == (seconds(start), seconds(start), seconds(end))
    assert not span.real_time


def test_options_go_before_the_configuration_and_it_before_defaults(bare: Config) -> None:
    configured = replace(bare, users=7, seed=3, tag="a", start=NOW - timedelta(days=2))
    plan, span = Choices(users=9, tag="b", end="now").plan_and_span(configured, NOW)
    assert (plan.users, plan.seed, plan.tag) == (9, 3, "b")
    assert (span.start, span.end) == (seconds(NOW - timedelta(days=2)), seconds(NOW))


def test_one_that_goes_on_starts_now_and_has_no_end_unless_one_is_named(bare: Config) -> None:
    assert Choices(continuous=True).plan_and_span(bare, NOW)[1].end is None
    ahead = (NOW + timedelta(hours=1)).isoformat()
    for choices, config in (
        (Choices(continuous=True, end=ahead), bare),
        (Choices(continuous=True), replace(bare, end=NOW + timedelta(hours=1))),
    ):
        span = choices.plan_and_span(config, NOW)[1]
        assert (span.start, span.end, span.real_time) == (seconds(NOW), seconds(NOW) + 3600, True)


def test_a_stopped_one_is_delivered_from_where_it_stopped(bare: Config) -> None:
    span = Choices(start="2d", resume_from="36h", end="1d").plan_and_span(bare, NOW)[1]
    assert [span.start - seconds(NOW), span.deliver_from - seconds(NOW)] == [-2 * 86_400, -36 * 3600]


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (Choices(start="yesterday"), "--start: 'yesterday' is no time"),
        (Choices(end="1w"), "--end: '1w' is no time"),
        (Choices(resume_from="?"), "--resume-from: '?' is no time"),
        (Choices(start="1d", end="2d"), "--end must be later than --start"),
    ],
    ids=["start", "end", "resume", "order"],
)
def test_what_can_t_be_used_is_named(choices: Choices, said: str, bare: Config) -> None:
    with pytest.raises(ChoiceError, match="^" + said.replace("?", r"\?")):
        choices.plan_and_span(bare, NOW)


def test_topics_are_those_that_the_simulator_writes() -> None:
    assert chosen_topics("b, a", ("a", "b")) == ("b", "a")
    with pytest.raises(ChoiceError, match="'c' is no topic that the simulator writes; there are a, b"):
        chosen_topics("a,c", ("a", "b"))
