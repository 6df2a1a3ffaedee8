"""Departures from the contract are told of an object's first rows, at little cost, whatever else it holds."""

import gzip
import json
from typing import Any

import pytest

from streaming_assets.lake.fields import LONGEST_NAME, MOST_NAMES, SAMPLE_LINES, departures, sample_of

KNOWN = (
    ("ts", "integer"),
    ("song", "string"),
    ("share", "number"),
    ("ok", "boolean"),
    ("customer.email", "string"),
    ("customer.address.city", "string"),
)


def of(*events: Any) -> dict[str, Any] | None:
    """What is told of an object that holds these events, or whole lines."""
    lines = [e if isinstance(e, bytes) else json.dumps({"offset": 0, "value": e}).encode() for e in events]
    told = departures(sample_of(gzip.compress(b"\n".join(lines))), KNOWN)
    return json.loads(told) if told else None


def test_what_the_contract_knows_is_not_told() -> None:
    assert of({"ts": 1, "song": "x", "customer": {"email": "e", "address": {"city": "c"}}}, {}) is None
    assert of({"customer": "no object"}) is None
    assert of() is None


def test_others_are_told_with_the_rows_that_hold_them() -> None:
    found = of(
        {"ts": 1, "track": "x"},
        {"track": None, "Song": "y"},
        {"customer": {"mail": 1, "address": {"zip": 2}}},
    )
    assert found == {
        "rows": 3,
        "fields": {"track": 2, "Song": 1, "customer.address.zip": 1, "customer.mail": 1},
    }
    assert next(iter(found["fields"])) == "track", "the most frequent first"


def test_other_types_are_told_with_what_came() -> None:
    assert of({"ts": None, "share": 1, "ok": True}, {"share": 1.5, "ok": None}) is None
    found = of({"ts": "1", "song": 1}, {"ts": 1.0, "song": {"a": 1}}, {"ts": True, "customer": {"email": []}})
    types = {
        "ts": {"string": 1, "number": 1, "boolean": 1},
        "song": {"integer": 1, "object": 1},
        "customer.email": {"array": 1},
    }
    assert found == {"rows": 3, "fields": {}, "types": types}


def test_an_unknown_object_is_one_field() -> None:
    assert of({"device": {"model": 1, "system": 2}}) == {"rows": 1, "fields": {"device": 1}}


def test_faulty_lines_are_passed_over() -> None:
    lines = (b"no JSON", b"", b'{"value": 7}', b'{"value": {"a": "\xff"}}', b"[" * 100_000, b"\xef\xbb\xbf{}")
    assert of(*lines[:4], {"b": 1}) == {"rows": 1, "fields": {"b": 1}}
    assert of(*lines) is None


def test_no_more_than_the_beginning_is_looked_at() -> None:
    assert of(*[{"ts": 1}] * SAMPLE_LINES, {"late": 1}) is None
    assert of({"song": "x" * 70_000}, {"late": 1}) is None
    found = of({f"{number:03d}" + "x" * 1000: 1 for number in range(50)}) or {}
    assert len(found["fields"]) == MOST_NAMES
    assert {len(name) for name in found["fields"]} == {LONGEST_NAME}


@pytest.mark.parametrize(
    "data", [b"", b"no gzip", gzip.compress(b"x" * 99)[:15]], ids=["empty", "text", "cut"]
)
def test_what_can_not_be_read_has_none(data: bytes) -> None:
    assert departures(sample_of(data), KNOWN) is None
