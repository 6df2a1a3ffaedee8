"""The same seed gives the same bytes: on any number of processes, in any windows, stopped and continued."""

import pytest

from streaming_assets.events import TOPICS
from streaming_assets.simulator import run as run_module
from streaming_assets_tests.simulator.runs import START, WEEK, Output, plan, run

PLAN = plan(users=400, growth=8.0, attrition=0.5, seed=21)


@pytest.fixture(scope="module")
def whole() -> Output:
    return run(PLAN)


def test_again(whole: Output) -> None:
    assert run(PLAN).lines == whole.lines
    assert all(whole.lines[topic] for topic in TOPICS)


def test_other_seed(whole: Output) -> None:
    assert run(plan(users=400, growth=8.0, attrition=0.5, seed=22)).lines != whole.lines


def test_on_three_processes(whole: Output) -> None:
    assert run(PLAN, processes=3).lines == whole.lines


def test_in_other_windows(whole: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "STEPS_PER_WINDOW", 37)
    assert run(PLAN).lines == whole.lines


def test_stopped_and_continued(whole: Output) -> None:
    halt = START + WEEK // 3
    before, after = run(PLAN, length=WEEK // 3), run(PLAN, deliver_from=halt)
    assert {topic: before.lines[topic] + after.lines[topic] for topic in TOPICS} == whole.lines


def test_users_are_the_same_on_a_larger_site(whole: Output) -> None:
    larger = run(plan(users=500, seed=21), topics=["user_info"]).events("user_info")
    mine = run(plan(users=400, seed=21), topics=["user_info"]).events("user_info")
    assert mine
    assert [event for event in larger if event["userId"] <= 400] == mine
