"""The event types of the site: topic, fields, identity. The one place that lists them.

Fields and their order are those of eventsim's JSON (a field that does not apply is absent, never null).
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "integer", "number", "boolean"]


@dataclass(frozen=True)
class EventField:
    """One field of an event: its JSON name, its type, and whether a valid row must have it."""

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True)
class EventType:
    """One kind of event.

    Attributes:
        topic: Kafka topic, lake folder and file stem.
        fields: all fields, in eventsim's order.
        identity: the fields that together name an event; copies that agree on them are one event.
        external_table: the external table over its lake folder; None if the warehouse does not read it.
        by_default: whether the simulator writes it unless asked for all topics.
    """

    topic: str
    fields: tuple[EventField, ...]
    identity: tuple[str, ...]
    external_table: str | None
    by_default: bool


def _required(name: str, kind: Kind) -> EventField:
    return EventField(name, kind, required=True)


TS = _required("ts", "integer")
SESSION_ID = _required("sessionId", "integer")
LEVEL = _required("level", "string")
ITEM = _required("itemInSession", "integer")
AUTH = EventField("auth", "string")
DEVICE = (
    EventField("city", "string"),
    EventField("zip", "string"),
    EventField("state", "string"),
    EventField("userAgent", "string"),
    EventField("lon", "number"),
    EventField("lat", "number"),
)
USER_ID = EventField("userId", "integer")
USER = (
    USER_ID,
    EventField("lastName", "string"),
    EventField("firstName", "string"),
    EventField("gender", "string"),
    EventField("registration", "integer"),
    EventField("tag", "string"),
)
KNOWN_USER = (_required("userId", "integer"), *USER[1:])
IN_SESSION = ("userId", "sessionId", "itemInSession", "ts")

EVENT_TYPES: tuple[EventType, ...] = (
    EventType(
        topic="listen_events",
        fields=(
            _required("artist", "string"),
            _required("song", "string"),
            _required("duration", "number"),
            TS,
            SESSION_ID,
            AUTH,
            LEVEL,
            ITEM,
            *DEVICE,
            *KNOWN_USER,
        ),
        identity=IN_SESSION,
        external_table="listen_events_ext",
        by_default=True,
    ),
    EventType(
        topic="page_view_events",
        fields=(
            TS,
            SESSION_ID,
            _required("page", "string"),
            _required("auth", "string"),
            EventField("method", "string"),
            EventField("status", "integer"),
            LEVEL,
            ITEM,
            *DEVICE,
            *KNOWN_USER,
            EventField("ad_revenue", "number"),
        ),
        identity=IN_SESSION,
        external_table="page_view_events_ext",
        by_default=True,
    ),
    EventType(
        topic="status_change_events",
        fields=(TS, SESSION_ID, AUTH, LEVEL, ITEM, *DEVICE, *KNOWN_USER),
        identity=IN_SESSION,
        external_table="status_change_events_ext",
        by_default=True,
    ),
    EventType(
        topic="user_info",
        fields=(
            TS,
            _required("userId", "integer"),
            EventField("lastName", "string"),
            EventField("firstName", "string"),
            EventField("gender", "string"),
            _required("registration", "integer"),
            LEVEL,
            EventField("tag", "string"),
        ),
        identity=("userId", "ts"),
        external_table="users_ext",
        by_default=True,
    ),
    EventType(
        topic="auth_events",
        fields=(TS, SESSION_ID, LEVEL, ITEM, *DEVICE, *USER, EventField("success", "boolean")),
        identity=IN_SESSION,
        external_table=None,
        by_default=False,
    ),
    EventType(
        topic="session_start_end_events",
        fields=(TS, SESSION_ID, LEVEL, ITEM, AUTH, EventField("isEnd", "boolean"), *DEVICE, *USER),
        identity=(*IN_SESSION, "isEnd"),
        external_table=None,
        by_default=False,
    ),
)

# Records that the sink could not write: their bytes in base64, and headers that say where they came from.
DEAD_LETTERS = EventType(
    topic="connect_sink_gcs",
    fields=(EventField("value", "string"), EventField("headers", "string")),
    identity=(),
    external_table="dead_letters_ext",
    by_default=False,
)

BY_TOPIC: dict[str, EventType] = {event_type.topic: event_type for event_type in EVENT_TYPES}
TOPICS: tuple[str, ...] = tuple(BY_TOPIC)
DEFAULT_TOPICS: tuple[str, ...] = tuple(e.topic for e in EVENT_TYPES if e.by_default)
WAREHOUSE_TYPES: tuple[EventType, ...] = tuple(e for e in EVENT_TYPES if e.external_table)
# What the warehouse reads of the lake by the hour.
LAKE_TYPES: tuple[EventType, ...] = (*WAREHOUSE_TYPES, DEAD_LETTERS)
LAKE_TOPICS: tuple[str, ...] = tuple(e.topic for e in LAKE_TYPES)
