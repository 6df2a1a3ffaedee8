"""The event types: one table that simulator, lake, warehouse and checks read."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.events import (
    BY_TOPIC,
    DEFAULT_TOPICS,
    EVENT_TYPES,
    TOPICS,
    WAREHOUSE_TYPES,
    EventType,
)

ROOT = Path(__file__).parents[1]
TEST_DATA = Path(os.environ.get("STREAMING_ASSETS_TEST_DATA", ROOT.parent / "shared" / "data"))
by_type = pytest.mark.parametrize("event_type", EVENT_TYPES, ids=TOPICS)
JSON_TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def test_four_topics_feed_the_warehouse_and_two_are_off_by_default() -> None:
    assert DEFAULT_TOPICS == ("listen_events", "page_view_events", "status_change_events", "user_info")
    assert {event_type.topic: event_type.external_table for event_type in WAREHOUSE_TYPES} == {
        "listen_events": "listen_events_ext",
        "page_view_events": "page_view_events_ext",
        "status_change_events": "status_change_events_ext",
        "user_info": "users_ext",
    }
    assert set(TOPICS) - set(DEFAULT_TOPICS) == {"auth_events", "session_start_end_events"}


@by_type
def test_a_type_is_found_by_its_topic(event_type: EventType) -> None:
    assert BY_TOPIC[event_type.topic] is event_type


@by_type
def test_field_names_are_unique(event_type: EventType) -> None:
    names = Counter(field.name for field in event_type.fields)
    assert names.most_common(1)[0][1] == 1


@by_type
def test_every_event_has_a_time(event_type: EventType) -> None:
    ts = next(field for field in event_type.fields if field.name == "ts")
    assert (ts.kind, ts.required) == ("integer", True)


@by_type
def test_identity_is_made_of_the_events_own_fields(event_type: EventType) -> None:
    fields = {field.name: field for field in event_type.fields}
    assert set(event_type.identity) <= fields.keys()
    if event_type in WAREHOUSE_TYPES:  # a row without identity could not be told from its copies
        assert all(fields[name].required for name in event_type.identity)


def _events(topic: str) -> list[dict[str, Any]]:
    path = TEST_DATA / "eventsim_sample" / f"{topic}.json.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in STREAMING_ASSETS_TEST_DATA ({TEST_DATA})")
    with gzip.open(path) as lines:
        return [json.loads(line) for line in lines]


@by_type
def test_the_original_simulators_events_are_as_described(event_type: EventType) -> None:
    """Fields come in this order and of these types; what is required is always there."""
    events = _events(event_type.topic)
    assert events
    order = {field.name: position for position, field in enumerate(event_type.fields)}
    kinds = {field.name: JSON_TYPES[field.kind] for field in event_type.fields}
    required = {field.name for field in event_type.fields if field.required}
    # Guests have no user; the warehouse takes page views of logged-in users only.
    logged_in = [event for event in events if event_type.topic != "page_view_events" or "userId" in event]
    for event in events:
        assert [order[name] for name in event] == sorted(order[name] for name in event)
        assert all(isinstance(value, kinds[name]) for name, value in event.items())
    assert all(required <= event.keys() for event in logged_in)
    seen = {name for event in events for name in event}
    assert {field.name for field in event_type.fields} - seen <= {"tag"}


@by_type
def test_the_original_simulators_events_differ_in_identity(event_type: EventType) -> None:
    """Copies that agree on the identity are one event: nothing else may be folded away with them."""
    contents: dict[tuple, set[str]] = {}
    for event in _events(event_type.topic):
        key = tuple(event.get(name) for name in event_type.identity)
        contents.setdefault(key, set()).add(json.dumps(event, sort_keys=True))
    assert [key for key, distinct in contents.items() if len(distinct) > 1] == []
