"""A configuration in eventsim's JSON format: its parts, read from a file. What is wrong with one is `validation`'s."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from streaming_assets.simulator.clock import MINUTE, Rhythm

DATA = Path(__file__).parent / "data"
DEFAULT_CONFIG = DATA / "default-config.json"

T = TypeVar("T")

# Keys of the original that it never read.
_IGNORED_KEYS = {"upgrades", "downgrades"}


class ConfigError(ValueError):
    """The configuration can't be run; the message names each fault with its place in the file."""


class State(NamedTuple):
    """A state of the site as a user sees it; all five parts are its identity."""

    page: str
    method: str
    status: int
    auth: str
    level: str

    def __str__(self) -> str:
        return f"{self.page} ({self.method or '-'} {self.status}, {self.auth}, {self.level or '-'})"


@dataclass(frozen=True)
class Transition:
    """From `source` to `dest` with probability `p`; `place` is its index in the file."""

    source: State
    dest: State
    p: float
    place: int


@dataclass(frozen=True)
class Entry:
    """A state in which a session can begin, by weight among those of its (auth, level)."""

    state: State
    weight: float
    place: int


@dataclass(frozen=True)
class Config:
    """A configuration, typed. Means are seconds; what the file leaves out has eventsim's default or is None."""

    path: Path
    text: str
    alpha: float
    beta: float
    rhythm: Rhythm
    churned_state: str | None
    new_user_auth: str
    new_user_level: str
    levels: tuple[tuple[str, float], ...]
    auths: tuple[tuple[str, float], ...]
    show: Mapping[str, bool]
    entries: tuple[Entry, ...]
    transitions: tuple[Transition, ...]
    unknown_keys: tuple[str, ...]
    seed: int | None = None
    users: int | None = None
    first_user_id: int | None = None
    growth_rate: float | None = None
    tag: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def where(self, section: str, place: int | None = None) -> str:
        """`file:line: section[place]`, for messages."""
        line = _line_of(self.text, section, place)
        index = "" if place is None else f"[{place}]"
        return f"{self.path.name}:{line}: {section}{index}" if line else f"{self.path.name}: {section}{index}"


def read_config(path: Path) -> Config:
    """Read `path`.

    Raises:
        ConfigError: it is unreadable, no JSON, or a part has the wrong shape.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"can't read the configuration {path}: {error}") from None
    return parse_config(path, text)


def parse_config(path: Path, text: str) -> Config:
    """The configuration that `text` holds; `path` is what messages call it.

    Raises:
        ConfigError: it is no JSON, or a part has the wrong shape.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path.name}:{error.lineno}: no valid JSON: {error.msg}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path.name}: the configuration must be one JSON object")
    return _Reader(path, text, document).config()


class _Reader:
    """Takes the parts of a document, each with its place in the message if it has the wrong shape."""

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self._path, self._text, self._document = path, text, document
        self._read: set[str] = set(_IGNORED_KEYS)

    def config(self) -> Config:
        get = self._value
        gap, minutes = get("session-gap", int, 1800), MINUTE
        return Config(
            path=self._path,
            text=self._text,
            alpha=get("alpha", float, 60.0),
            beta=get("beta", float, 259_200.0),
            rhythm=Rhythm(
                damping=get("damping", float, 0.0625),
                weekend_damping=get("weekend-damping", float, 0.5),
                weekend_offset=int(get("weekend-damping-offset", float, 6) * minutes),
                weekend_scale=int(get("weekend-damping-scale", float, 6) * minutes),
                session_gap=gap,
            ),
            churned_state=get("churned-state", str, None),
            new_user_auth=get("new-user-auth", str, "Guest"),
            new_user_level=get("new-user-level", str, "Free"),
            levels=self._items("levels", lambda item, _: (str(item["level"]), float(item["weight"]))),
            auths=self._items("auths", lambda item, _: (str(item["auth"]), float(item["weight"]))),
            show=dict(
                self._items("show-user-details", lambda item, _: (str(item["auth"]), bool(item["show"])))
            ),
            entries=self._items(
                "new-session", lambda item, place: Entry(_state(item), float(item["weight"]), place)
            ),
            transitions=self._items(
                "transitions",
                lambda item, place: Transition(
                    _state(item["source"]), _state(item["dest"]), float(item["p"]), place
                ),
            ),
            seed=get("seed", int, None),
            users=get("n-users", int, None),
            first_user_id=get("first-user-id", int, None),
            growth_rate=get("growth-rate", float, None),
            tag=get("tag", str, None),
            start=get("start-date", _utc, None),
            end=get("end-date", _utc, None),
            unknown_keys=tuple(sorted(set(self._document) - self._read)),
        )

    def _value(self, key: str, convert: Callable[[Any], Any], default: Any) -> Any:
        self._read.add(key)
        if key not in self._document:
            return default
        value = self._document[key]
        try:
            if convert is int:
                return int(float(value))  # the original reads all numbers as doubles
            return convert(value)
        except (TypeError, ValueError):
            raise self._error(key, None, f"{value!r} is no {_NAMES[convert]}") from None

    def _items(self, key: str, convert: Callable[[dict[str, Any], int], T]) -> tuple[T, ...]:
        self._read.add(key)
        items = self._document.get(key)
        if not isinstance(items, list) or not items:
            raise self._error(key, None, "a list with at least one entry is needed")
        converted = []
        for place, item in enumerate(items):
            try:
                converted.append(convert(item, place))
            except KeyError as error:
                raise self._error(key, place, f"{error} is missing") from None
            except (TypeError, ValueError) as error:
                raise self._error(key, place, str(error)) from None
        return tuple(converted)

    def _error(self, key: str, place: int | None, message: str) -> ConfigError:
        line = _line_of(self._text, key, place)
        index = "" if place is None else f"[{place}]"
        return ConfigError(f"{self._path.name}:{line or 1}: {key}{index}: {message}")


def _state(item: Mapping[str, Any]) -> State:
    return State(
        str(item["page"]),
        str(item.get("method", "")),
        int(float(item["status"])),
        str(item["auth"]),
        str(item.get("level", "")),
    )


def _utc(value: Any) -> datetime:
    moment = datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_NAMES: dict[Any, str] = {int: "number", float: "number", str: "text", _utc: "ISO time"}


def _line_of(text: str, section: str, place: int | None) -> int | None:
    """The line (from 1) of a key, or of an entry in its list; None if it is absent."""
    found = re.search(rf'"{re.escape(section)}"\s*:\s*', text)
    if found is None:
        return None
    position = found.end()
    if place is not None:
        decoder = json.JSONDecoder()
        separator = re.compile(r"[\s,\[]*")
        for _ in range(place):
            position = decoder.raw_decode(text, separator.match(text, position).end())[1]  # type: ignore[union-attr]
        position = separator.match(text, position).end()  # type: ignore[union-attr]
    else:
        position = found.start()
    return text.count("\n", 0, position) + 1
