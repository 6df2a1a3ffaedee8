"""A lake of simulated events in two phases, and what external tables over it show.

The second phase adds hours and rows that come late to the first one's. Rows repeat within an hour and across hours,
fields are mistyped or nested, lines are malformed, records could not be written.
"""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from streaming_assets.dagster_runtime.dbt import DbtError, DbtRunner
from streaming_assets.events import BY_TOPIC, DEAD_LETTERS, DEFAULT_TOPICS, LAKE_TYPES
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.partitions import Span
from streaming_assets.warehouses.bigquery_tables import DELIMITER
from streaming_assets.warehouses.tables import naive
from streaming_assets_tests.properties.world import World
from streaming_assets_tests.simulator.runs import START, plan, run

PROJECT, DATASET = "test-project", "streaming_assets"
EXTERNAL = f"{DATASET}_external"
LAKE = "gs://test-bucket"
HOURS = 48
FIRST = datetime.fromtimestamp(START / 1000, UTC)
PHASES: tuple[Span, Span] = ((FIRST, FIRST + 40 * HOUR), (FIRST + 20 * HOUR, FIRST + (HOURS + 2) * HOUR))
_LATE, _AGAIN, _TWICE, _MISTYPED, _CHANGE, _NESTED = 11, 13, 17, 19, 23, 29  # every how many rows

# Lines that no sink writes; all are quarantined, with the offset that they show.
JUNK = [
    "\ufeff \t",
    "",
    '{"value": {"ts": 1}, "offset": 6}\x01, and more',
    "no JSON",
    '{"value": {"ts": 1}, "offset": 7,}',
    '{"value": {"ts": NaN}, "offset": 8}',
    '{"value": {"ts": 1_000}, "offset": 9}',
    '{"offset": 1, "value": {"offset": 2}',
    '{"value": {"ts": "\\ud800"}, "offset": 10}',
    '{"value": "text", "offset": 11}',
    '{"value": null, "offset": "12"}',
    '[{"value": {}}]',
    '{"value": {"ts": 1e400, "userId": [1, 1e999], "sessionId": ' + "1" * 400 + '}, "offset": 13}',
    '{"value": {"ts": 1.50, "ts": 3, "userId": true, "level": null}, "offset": {"a": 1}}',
    '{"value": {"ts": 1e3, "sessionId": "1", "itemInSession": -0}, "offset": 1.5}',
    '{"value": {"TS": 1, "song": "a\\u0000b \\" \u2028 \U0001f600"}, "offset": -1}',
]


class Site:
    """The lake of the site; `arrive` brings a phase's rows."""

    def __init__(self, folder: Path, junk: list[str]) -> None:
        """`junk`: lines that are in each topic's first hour of a phase, whatever they are."""
        self.world = World(folder)
        self._junk = junk
        self.span = PHASES[0]

    def arrive(self, phase: int) -> None:
        """The rows of phase 0 or 1 come into the lake, and the reference files as they are by then."""
        self.span = PHASES[phase]
        for topic in DEFAULT_TOPICS:
            for number, event in enumerate(_events()[topic]):
                at = min(max(floor_hour(datetime.fromtimestamp(event["ts"] / 1000, UTC)), FIRST), _last())
                late = number % _LATE == 0
                if phase == int(late or at >= PHASES[0][1]):
                    self._land(topic, at, number, event)
            self.world.append(topic, self.span[0], self._junk, "junk", 0, grow=True)
        self._lose(phase)
        songs = sorted({(e["artist"], e["song"], e["duration"]) for e in _events()["listen_events"]})
        places = sorted({(e["zip"], e["city"], e["state"]) for e in _events()["listen_events"] if "zip" in e})
        self.world.write_reference(
            [(f"t{n}", *song, ("Rock", None, "Jazz")[n % 3]) for n, song in enumerate(songs[:: 3 - phase])],
            [("US", code, city, f"State of {state}", state) for code, city, state in places[:: 3 - phase]],
        )

    def external_rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the external tables, values by column; each topic has an object that landed since it was listed."""
        rows: dict[str, list[dict[str, Any]]] = {str(kind.external_table): [] for kind in LAKE_TYPES}
        landed = {replace(name, stream_epoch="landed"): texts for name, texts in self.world.objects.items()}
        since = {name.topic: name for name in landed}.values()
        for name, texts in [*self.world.objects.items(), *((name, landed[name]) for name in since)]:
            table = str(BY_TOPIC.get(name.topic, DEAD_LETTERS).external_table)
            where = {"date": naive(name.hour), "_file_name": f"{LAKE}/{name}"}
            rows[table] += [shown(text) | where for text in texts]
        for table, found in (("songs_ext", self.world.songs), ("locations_ext", self.world.locations)):
            rows[table] = [row | {"is_retired": False} for row in found]
        return rows

    def _land(self, topic: str, at: datetime, number: int, event: dict[str, Any]) -> None:
        if number % _MISTYPED == 0:
            event = event | {"userId": "nobody"}
        if number % _NESTED == 0:
            event = event | {"level": {"was": "free"}, "auth": ["Logged In"]}
        stream_epoch, partition = ("b" if number % 5 == 0 else None), number % 2
        self.world.append(
            topic, at, [event] * (2 if number % _TWICE == 0 else 1), stream_epoch, partition, grow=True
        )
        if number % _AGAIN == 0:
            self.world.append(topic, at + (number % 3) * HOUR, [event], stream_epoch, partition, grow=True)

    def _lose(self, phase: int) -> None:
        headers = {"topic": "listen_events", "partition": "0", "offset": str(900 + phase)}
        letter = {
            "value": base64.b64encode(b'{"lost": 1}').decode(),
            "headers": [{"key": f"__connect.errors.{key}", "value": text} for key, text in headers.items()],
            "offset": phase,
            "timestamp": "2025-04-01T00:00:00.000Z",
        }
        stream_epoch = (None, "listen_events-b")[phase]
        self.world.append(
            DEAD_LETTERS.topic, PHASES[phase][0], [json.dumps(letter)], stream_epoch, 0, grow=False
        )


def shown(text: str) -> dict[str, str | None]:
    """A line as BigQuery shows it in an external table's columns."""
    line, _, rest = text.partition(DELIMITER)
    return {"line": line, "rest": rest or None}


def _last() -> datetime:
    return FIRST + (HOURS - 1) * HOUR


@cache
def _events() -> dict[str, list[dict[str, Any]]]:
    output = run(plan(users=20, seed=3), HOURS * 3_600_000, topics=DEFAULT_TOPICS)
    events = {topic: output.events(topic) for topic in DEFAULT_TOPICS}
    # Two days see hardly a change of level, so some page views stand for one.
    fields = {field.name for field in BY_TOPIC["status_change_events"].fields}
    events["status_change_events"] += [
        {name: value for name, value in view.items() if name in fields}
        for view in events["page_view_events"][::_CHANGE]
        if view["auth"] == "Logged In"
    ]
    # Nor does anybody leave.
    for view, page in zip(events["page_view_events"][1::_CHANGE], cycle(("Cancel", "Submit Downgrade"))):
        view["page"] = page
    return events


def run_and_test(dbt: DbtRunner, span: Span) -> None:
    """Run all models over the hours of a span, then all data tests.

    Raises:
        DbtError: a model or a test failed.
    """
    dbt.run(span)
    tests = [event["data"] for event in dbt.test(span)]
    failed = [test for test in tests if test["status"] != "pass"]
    if failed or not tests:
        raise DbtError(f"tests: {failed}")
