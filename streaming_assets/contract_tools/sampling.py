"""Events of a sample: JSON lines, plain or gzip, or objects of a lake's folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from streaming_assets.ingestion.replay import Recording, ReplayError

MOST_EVENTS = 50_000  # what is held in memory of a sample


class SampleError(Exception):
    """The sample can't be read, or holds no event; the message says why."""


@dataclass
class Sample:
    """Events, how many lines were none, and whether there are more than were read."""

    events: list[dict[str, Any]] = field(default_factory=list)
    faulty: int = 0
    is_cut: bool = False


def read_sample(path: Path) -> Sample:
    """The first events of a file, or of the objects (*.gz) in a folder and its folders, the newest first.

    Raises:
        SampleError: it can't be read, or holds no JSON object.
    """
    paths = sorted(path.rglob("*.gz"), reverse=True) if path.is_dir() else [path]
    if not paths:
        raise SampleError(f"{path} has no objects (*.gz)")
    sample = Sample()
    try:
        for line in Recording(paths):
            if len(sample.events) == MOST_EVENTS:
                sample.is_cut = True
                break
            event = event_of(line, in_lake=path.is_dir())
            if event is None:
                sample.faulty += 1
            else:
                sample.events.append(event)
    except ReplayError as error:
        raise SampleError(str(error)) from None
    if not sample.events:
        raise SampleError(f"{path} holds no event: {sample.faulty:,} lines that are no JSON object")
    return sample


def event_of(line: bytes, in_lake: bool) -> dict[str, Any] | None:
    """The event in a line, or in the record that a line of the lake holds; None if there is none."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if in_lake:
        found = found.get("value") if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def events_of(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The events in lines of the lake."""
    return (event for line in lines if (event := event_of(line, in_lake=True)) is not None)
