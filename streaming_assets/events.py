"""The event types, as their contracts declare them (contracts.py): topics, fields, identities.

Nothing else lists topics or fields. Whoever asks for those of a part of the system finds them here by name.
"""

from streaming_assets.contracts import EventField, EventType, read_contracts, read_dead_letters

__all__ = ["EventField", "EventType"]

EVENT_TYPES: tuple[EventType, ...] = read_contracts()
DEAD_LETTERS: EventType = read_dead_letters()

BY_TOPIC: dict[str, EventType] = {event_type.topic: event_type for event_type in EVENT_TYPES}
TOPICS: tuple[str, ...] = tuple(BY_TOPIC)
SIMULATED_TOPICS: tuple[str, ...] = tuple(e.topic for e in EVENT_TYPES if e.simulated)
DEFAULT_TOPICS: tuple[str, ...] = tuple(e.topic for e in EVENT_TYPES if e.simulated == "by_default")
WAREHOUSE_TYPES: tuple[EventType, ...] = tuple(e for e in EVENT_TYPES if e.external_table)
# What the warehouse reads of the lake by the hour.
LAKE_TYPES: tuple[EventType, ...] = (*WAREHOUSE_TYPES, DEAD_LETTERS)
LAKE_TOPICS: tuple[str, ...] = tuple(e.topic for e in LAKE_TYPES)
