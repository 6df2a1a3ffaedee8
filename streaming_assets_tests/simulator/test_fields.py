"""Each topic's fields, their order and types are those of its contract."""

from typing import Any

import pytest

from streaming_assets.events import BY_TOPIC, SIMULATED_TOPICS, EventType
from streaming_assets.simulator.render import WRITTEN
from streaming_assets_tests.simulator.runs import Output, plan, run

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@pytest.fixture(scope="module")
def tagged() -> Output:
    return run(plan(users=1500, growth=20.0, tag="blue"))


def test_the_simulator_writes_what_contracts_say_it_does() -> None:
    assert set(WRITTEN) == set(SIMULATED_TOPICS)


@pytest.mark.parametrize("topic", SIMULATED_TOPICS)
def test_fields_in_order(tagged: Output, topic: str) -> None:
    events = tagged.events(topic)
    assert events
    hidden = [
        "userId",
        "lastName",
        "firstName",
        "gender",
        "registration",
        "tag",
    ]  # of whom nobody knows who it is
    seen: set[str] = set()
    for event in events:
        allowed = [f.name for f in BY_TOPIC[topic].fields]
        if "userId" not in event:
            assert event.get("auth") in (None, "Guest", "Logged Out")
            allowed = [name for name in allowed if name not in hidden]
        if topic == "page_view_events" and event["page"] != "PlayAd":
            allowed.remove("ad_revenue")
        assert list(event) == allowed
        seen |= set(event)
        _check_types(BY_TOPIC[topic], event)
    assert seen == {f.name for f in BY_TOPIC[topic].fields}


def _check_types(event_type: EventType, event: dict[str, Any]) -> None:
    for f in event_type.fields:
        if f.name in event:
            value = event[f.name]
            assert isinstance(value, TYPES[f.kind]), (f, value)
            assert f.kind == "boolean" or not isinstance(value, bool)


def test_no_tag_no_field() -> None:
    output = run(plan(users=50))
    assert not any("tag" in event for topic in SIMULATED_TOPICS for event in output.events(topic))
