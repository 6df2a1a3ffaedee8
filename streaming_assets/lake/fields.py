"""Where the first rows of an object depart from their topic's contract: fields that it does not know, other types.

They stop nothing: a row keeps what the contract knows of it, and types are told from texts. A field that was renamed
shows so by both its names.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import sqrt
from typing import Any

import msgspec
from isal import igzip_lib

SAMPLE_BYTES = 64 * 2**10  # of the object and of its text
SAMPLE_LINES = 100
MOST_NAMES = 20
LONGEST_NAME = 100  # characters; the rest is cut off
SHARE = 0.05  # of rows that lack a required field or have another type: above it producers changed, below rows are bad

Known = tuple[tuple[str, str], ...]  # names of fields, a dot leads into a nested object; and their kinds
_KINDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
}
_FITTING = {
    "string": {str},
    "boolean": {bool},
    "integer": {int},
    "number": {int, float},
}


class _Record(msgspec.Struct, gc=False):
    value: dict[str, Any]


_RECORDS = msgspec.json.Decoder(_Record)
_DAMAGED: Any = igzip_lib.IsalError
_REFUSED: Any = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def kind_of(value: Any) -> str:
    """What a value of JSON is, in the words of contracts, which know neither `array` nor `object`."""
    return _KINDS[type(value)]


def at_most_by_chance(share: float, count: int) -> float:
    """How many of `count` a share of them may be: three standard deviations above the mean, so that a small hour's one
    or two are no matter."""
    return share * count + 3 * sqrt(share * count)


def sample_of(data: bytes) -> bytes:
    """The beginning of a gzip object's text; nothing of one that no reader can read."""
    sample = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    try:
        return sample.decompress(data[:SAMPLE_BYTES], SAMPLE_BYTES)
    except _DAMAGED:
        return b""


def departures(sample: bytes, known: Known) -> str | None:
    """How the first rows of an object depart from what is known.

    Args:
        sample: the beginning of its text; what follows SAMPLE_BYTES is not looked at.
        known: the fields of the contract.

    Returns:
        JSON such as `{"rows": 100, "fields": {"track": 3}, "types": {"ts": {"string": 2}}}`: how many rows were looked
        at, in how many of these each unknown field is, and, if there are any, in how many a known one has which other
        type; None if nothing departs.
    """
    events = [*_events(sample[:SAMPLE_BYTES].split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES])]
    fields: dict[str, int] = {}
    types: dict[str, Counter[str]] = {}
    _look(events, known, "", fields, types)
    if not fields and not types:
        return None
    most = dict(sorted(fields.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMES])
    told = {"rows": len(events), "fields": most, **({"types": types} if types else {})}
    return json.dumps(told, ensure_ascii=False)


def _events(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = _RECORDS.decode(line)
        except _REFUSED:  # blank, faulty, or cut by the end of the sample
            continue
        yield record.value


def _look(
    events: Sequence[dict[str, Any]],
    known: Known,
    above: str,
    fields: dict[str, int],
    types: dict[str, Counter[str]],
) -> None:
    leaves, nested_in = _heads(known)
    for key in set().union(*events) - leaves.keys() - nested_in.keys():
        fields[above + key[:LONGEST_NAME]] = sum(key in event for event in events)
    for name, fitting in leaves.items():
        if not {type(event.get(name)) for event in events} <= fitting:
            values = [event[name] for event in events if type(event.get(name)) not in fitting]
            types[above + name] = Counter(map(kind_of, values))
    for head, names in nested_in.items():
        nested = [event[head] for event in events if isinstance(event.get(head), dict)]
        _look(nested, names, f"{above}{head}.", fields, types)


@lru_cache
def _heads(known: Known) -> tuple[Mapping[str, set[type]], Mapping[str, Known]]:
    """The known fields with the types that fit, null among them, and of those that hold objects the fields within."""
    leaves: dict[str, set[type]] = {}
    nested: dict[str, Known] = {}
    for name, kind in known:
        head, dot, rest = name.partition(".")
        if dot:
            nested[head] = (*nested.get(head, ()), (rest, kind))
        else:
            leaves[name] = {*_FITTING[kind], type(None)}
    for head in leaves.keys() & nested.keys():
        leaves[head].add(dict)
    return leaves, nested
