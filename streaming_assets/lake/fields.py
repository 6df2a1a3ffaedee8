"""Fields that a topic's contract does not know, seen in the first rows of an object.

They stop nothing: a row keeps what the contract knows of it. A field that was renamed shows so by both its names.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from isal import igzip_lib

SAMPLE_BYTES = 64 * 2**10  # of the object and of its text
SAMPLE_LINES = 100
MOST_NAMES = 20
LONGEST_NAME = 100  # characters; the rest is cut off


class _Record(msgspec.Struct, gc=False):
    value: dict[str, Any]


_RECORDS = msgspec.json.Decoder(_Record)
_DAMAGED: Any = igzip_lib.IsalError
_REFUSED: Any = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def unknown_fields(data: bytes, known: Collection[str]) -> str | None:
    """What the first rows of a gzip object hold beside the fields that are known.

    Args:
        data: the object; what no reader can read has no rows here.
        known: names of fields; a dot leads into a nested object.

    Returns:
        JSON such as `{"rows": 100, "fields": {"track": 3}}`: how many rows were looked at, and in how many of these
        each field is; None if there is none.
    """
    sample = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    try:
        text = sample.decompress(data[:SAMPLE_BYTES], SAMPLE_BYTES)
    except _DAMAGED:
        return None
    events = [*_events(text.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES])]
    found = dict(sorted(_unknown(events, known), key=lambda item: (-item[1], item[0]))[:MOST_NAMES])
    return json.dumps({"rows": len(events), "fields": found}, ensure_ascii=False) if found else None


def _events(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = _RECORDS.decode(line)
        except _REFUSED:  # blank, faulty, or cut by the end of the sample
            continue
        yield record.value


def _unknown(
    events: Sequence[dict[str, Any]], known: Collection[str], above: str = ""
) -> Iterator[tuple[str, int]]:
    within: dict[str, list[str]] = {}
    for name in known:
        head, dot, rest = name.partition(".")
        within.setdefault(head, []).extend([rest] if dot else [])
    for key in set().union(*events) - within.keys():
        yield above + key[:LONGEST_NAME], sum(key in event for event in events)
    for head, names in within.items():
        if names:
            nested = [event[head] for event in events if isinstance(event.get(head), dict)]
            yield from _unknown(nested, names, f"{above}{head}.")
