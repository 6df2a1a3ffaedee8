"""Simulations for tests: run in memory, with each topic's events as parsed JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any

import orjson

from streaming_assets.events import TOPICS
from streaming_assets.simulator.catalogue import Files
from streaming_assets.simulator.config import DEFAULT_CONFIG, Config, read_config
from streaming_assets.simulator.processes import open_source
from streaming_assets.simulator.run import Span, batches
from streaming_assets.simulator.simulation import Plan
from streaming_assets.simulator.times import milliseconds

START = milliseconds(datetime(2025, 4, 1, tzinfo=UTC))
WEEK = 7 * 86_400_000


def plan(config: Config | None = None, **changes: Any) -> Plan:
    """A plan of 300 users from 1 April 2025, unless changed."""
    defaults: dict[str, Any] = {
        "config": config or read_config(DEFAULT_CONFIG),
        "files": Files(),
        "users": 300,
        "growth": 0.0,
        "attrition": 0.0,
        "seed": 1,
        "start": START,
        "first_user_id": 0,
        "tag": None,
    }
    return Plan(**(defaults | changes))


@dataclass
class Output:
    """What a run delivered: by topic the lines' bytes; events() parses them."""

    lines: dict[str, list[bytes]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})

    def events(self, topic: str) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.lines[topic]]


def run(
    a_plan: Plan,
    length: int = WEEK,
    deliver_from: int | None = None,
    processes: int = 1,
    topics: Sequence[str] = TOPICS,
) -> Output:
    """Run for `length` ms from the plan's start."""
    span = Span(
        start=a_plan.start_second,
        deliver_from=a_plan.second(a_plan.start if deliver_from is None else deliver_from),
        end=a_plan.second(a_plan.start + length),
        real_time=False,
    )
    source = open_source(a_plan, topics, "", processes)
    output = Output()
    try:
        for batch in batches(source, span, Event()):
            for topic, part in batch.lines.items():
                output.lines[topic] += [text.encode() for text in part.text.to_pylist()]
    finally:
        source.close()
    return output
