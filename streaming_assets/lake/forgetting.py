"""People who are to be forgotten: their lines leave the lake's objects, and so does what arrives of them anew.

`forgotten/people.json` has a salted hash of each user id, for as long as what arrives of that user is kept out, and
what was done when. User ids are few, so that whoever has this file could try them all: the hash is no secret, it only
names nobody to a reader.
`forgotten/offsets/<topic>/<hour>-<id>.json` has the Kafka offsets of lines that were taken out, without which these
would look lost. They are written before the lines go, so that a crash leaves nothing unexplained.
"""

import gzip
import hashlib
import json
import re
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any
from uuid import uuid4

import orjson

from streaming_assets.events import DEAD_LETTERS, EVENT_TYPES
from streaming_assets.lake.names import HEADER_PREFIX, ObjectName, dead_letter_source, parse_object
from streaming_assets.lake.reading import OFFSET, ObjectUnreadable, text_of
from streaming_assets.lake.store import Lake, LakeError, LakeObject

FOLDER = "forgotten/"
PEOPLE = f"{FOLDER}people.json"
USER = "user_id"  # the column by which tables know a person
ATTEMPTS = 5  # to rewrite an object that a sink rewrites meanwhile
_HOUR = "%Y-%m-%dT%H"
_BEYOND = 2**64  # no user id is as large
# The fields that name a user, by their last names: `userId` in all of the site's own events.
_NAMES = sorted({f.name.split(".")[-1] for kind in EVENT_TYPES for f in kind.fields if f.column == USER})
_SAID = re.compile(
    rb'"(?:%s)"\s*:\s*(?:"([^"\\]*)"|([^\s,\]}"]+))' % "|".join(map(re.escape, _NAMES)).encode()
)
Removed = tuple[str, str, int, int]  # topic, stream epoch or '', partition, offset: a record taken out


class NotForgotten(Exception):
    """Somebody could not be forgotten; the message says why and the way out."""


@dataclass(frozen=True)
class Done:
    """That people were forgotten: when, how many, and how many lines left how many objects."""

    at: str
    people: int
    objects: int
    lines: int


@dataclass
class People:
    """Users who are kept out, by hash; `pending` are those of whom the tables may still tell."""

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    hashes: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    done: tuple[Done, ...] = ()

    def __post_init__(self) -> None:
        self._known: dict[bytes, bool] = {}

    def hash_of(self, user: int) -> str:
        """The hash of a user id."""
        return hashlib.blake2b(str(user).encode(), key=self.salt, digest_size=16).hexdigest()

    def with_users(self, users: Iterable[int]) -> "People":
        """With these users kept out, who are yet to be forgotten."""
        asked = frozenset(map(self.hash_of, users))
        return replace(self, hashes=self.hashes | asked, pending=self.pending | asked)

    def without_users(self, users: Iterable[int]) -> "People":
        """With these users let in again."""
        asked = frozenset(map(self.hash_of, users))
        return replace(self, hashes=self.hashes - asked, pending=self.pending - asked)

    def are_of(self, text: bytes) -> bool:
        """Whether a text, JSON or nearly, names one of them as its user."""
        return any(self._is_one(quoted or bare) for quoted, bare in _SAID.findall(text))

    def _is_one(self, said: bytes) -> bool:
        if said not in self._known:
            user = _user(said)
            self._known[said] = user is not None and self.hash_of(user) in self.hashes
        return self._known[said]


def read_people(lake: Lake) -> People | None:
    """Who is kept out of this lake; None if nobody ever was, which one listing tells.

    Raises:
        LakeError: the lake can't be read, or the file is damaged.
    """
    if not any(found.name == PEOPLE for found in lake.list(FOLDER, PEOPLE, f"{PEOPLE}~")):
        return None
    try:
        told = json.loads(lake.read(PEOPLE))
        return People(
            bytes.fromhex(told["salt"]),
            frozenset(told["hashes"]),
            frozenset(told["pending"]),
            tuple(Done(**done) for done in told["done"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LakeError(f"{lake.uri(PEOPLE)} is damaged ({error}): put back what was there before") from error


def write_people(lake: Lake, people: People) -> None:
    """Keep these people out from now on. Raises LakeError."""
    told = {
        "salt": people.salt.hex(),
        "hashes": sorted(people.hashes),
        "pending": sorted(people.pending),
        "done": [vars(done) for done in people.done],
    }
    lake.write(PEOPLE, json.dumps(told, indent=1).encode())


def take_out(lake: Lake, objects: Iterable[LakeObject], people: People) -> tuple[int, int, list[str]]:
    """Rewrite those of the objects, in the order of their names, that tell of the people.

    Returns:
        How many objects were rewritten, how many lines left them, and the objects that no reader can read.

    Raises:
        LakeError: the lake can't be read or written; what was rewritten stays so.
        NotForgotten: an object is written by somebody else all the time.
    """
    rewritten, lines = 0, 0
    unreadable: list[str] = []
    for _, of_hour in groupby(objects, lambda found: found.name.rpartition("/")[0]):
        found = [*_concerned(lake, of_hour, people, unreadable)]
        removed = [record for _, _, records in found for record in records]
        if found:
            _explain(lake, found[0][0].name, removed)
        for listed, text, records in found:
            if lake.replace(listed.name, gzip.compress(text, mtime=0), listed.generation):
                lines += len(records)
            else:
                lines += _again(lake, listed.name, people, unreadable)
            rewritten += 1
    return rewritten, lines, unreadable


def _again(lake: Lake, name: str, people: People, unreadable: list[str]) -> int:
    """As `take_out`, of an object that was written anew, or removed, since it was listed."""
    for _ in range(ATTEMPTS):
        listed = [found for found in lake.list(name.rpartition("/")[0] + "/") if found.name == name]
        told = [*_concerned(lake, listed, people, unreadable)]
        if not told:
            return 0
        found, text, removed = told[0]
        _explain(lake, name, removed)
        if lake.replace(name, gzip.compress(text, mtime=0), found.generation):
            return len(removed)
    raise NotForgotten(
        f"{lake.uri(name)} is written by somebody else all the time: stop the sink, and try again"
    )


def _concerned(
    lake: Lake, objects: Iterable[LakeObject], people: People, unreadable: list[str]
) -> Iterator[tuple[LakeObject, bytes, list[Removed | None]]]:
    """The objects that tell of the people, each with the text that is left and what left it."""
    for listed in objects:
        try:
            text = text_of(lake.read(listed.name))
        except ObjectUnreadable as error:
            unreadable.append(f"{lake.uri(listed.name)} can't be read: {error}")
            continue
        name = parse_object(listed.name)
        is_letters = name is not None and name.topic == DEAD_LETTERS.topic
        if not (is_letters or b"\\u" in text or people.are_of(text)):
            continue
        lines = text.split(b"\n")
        gone = [number for number, line in enumerate(lines) if _tells(line, name, people)]
        if gone:
            removed = [_record(lines[number], name) for number in gone]
            for number in reversed(gone):
                del lines[number]
            yield listed, b"\n".join(lines), removed


def _tells(line: bytes, name: ObjectName | None, people: People) -> bool:
    """Whether a line is of one of the people; a dead letter is what it holds, and what its headers say of it."""
    if people.are_of(line):
        return True
    if name and name.topic == DEAD_LETTERS.topic:
        return any(people.are_of(text) for text in _letter_texts(line))
    if b"\\u" in line:  # a name or a value may be spelled in escapes
        told = parsed(line)
        return told is not None and people.are_of(
            json.dumps(told, ensure_ascii=False).encode(errors="replace")
        )
    return False


def _letter_texts(line: bytes) -> Iterator[bytes]:
    letter = parsed(line)
    if not isinstance(letter, dict):
        return
    for header in headers_of(letter):
        yield str(header.get("value")).encode()
    value = letter.get("value")
    if isinstance(value, str):
        try:
            yield b64decode(value, validate=True)
        except NotBase64:
            yield value.encode()


def _record(line: bytes, name: ObjectName | None) -> Removed | None:
    """What a line that is taken out was in Kafka, of a dead letter its source; None where nothing tells."""
    if name is None:
        return None
    if name.topic == DEAD_LETTERS.topic:
        return _source_of(line, name)
    told = parsed(line)
    offset = told.get("offset") if isinstance(told, dict) else None
    if not isinstance(offset, int):
        shown = OFFSET.findall(line)
        offset = int(shown[-1]) if shown else None
    return None if offset is None else (name.topic, name.stream_epoch or "", name.partition, offset)


def _source_of(letter: bytes, name: ObjectName) -> Removed | None:
    """The record that a dead letter was; None where its headers do not tell."""
    told = {header.get("key"): header.get("value") for header in headers_of(parsed(letter))}
    _, stream_epoch = dead_letter_source(name) or ("", None)
    try:
        topic, partition, offset = (
            str(told[HEADER_PREFIX + key]) for key in ("topic", "partition", "offset")
        )
        return topic, stream_epoch or "", int(partition), int(offset)
    except (KeyError, ValueError):
        return None


def headers_of(letter: Any) -> list[dict[str, Any]]:
    """The headers of a dead letter; none where it is no such thing."""
    headers = letter.get("headers") if isinstance(letter, dict) else None
    return [header for header in headers if isinstance(header, dict)] if isinstance(headers, list) else []


def _explain(lake: Lake, name: str, removed: Iterable[Removed | None]) -> None:
    """Write down the offsets of lines that are about to leave objects of an hour."""
    place = parse_object(name)
    known = sorted({record for record in removed if record})
    for topic, records in groupby(known, lambda record: record[0]):
        hour = f"{place.hour.astimezone(UTC):{_HOUR}}" if place else ""
        told = json.dumps([record[1:] for record in records]).encode()
        lake.write(f"{FOLDER}offsets/{topic}/{hour}-{uuid4().hex}.json", told)


def forgotten_offsets(lake: Lake, topic: str, start: datetime, end: datetime) -> set[tuple[str, int, int]]:
    """(stream epoch or '', partition, offset) of the lines that left a topic's objects of hours [start, end)."""
    folder = f"{FOLDER}offsets/{topic}/"
    first, last = (f"{folder}{moment.astimezone(UTC):{_HOUR}}" for moment in (start, end))
    return {
        (stream_epoch, partition, offset)
        for found in lake.list(folder, first, last)
        for stream_epoch, partition, offset in json.loads(lake.read(found.name))
    }


def parsed(line: bytes) -> Any:
    """What a line is as JSON; None if it is none."""
    try:
        return orjson.loads(line)
    except ValueError:
        return None


def _user(said: bytes) -> int | None:
    """The number that a text means as the warehouse reads it; None if it is none."""
    try:
        number = Decimal(said.decode().strip())
        return int(number) if abs(number) < _BEYOND and number == number.to_integral_value() else None
    except (InvalidOperation, UnicodeDecodeError, OverflowError, ValueError):
        return None
