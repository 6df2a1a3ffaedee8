"""The lines of the lake's objects: data lines and dead letters. Pure functions of one record.

Data:        {"value":<the event's own bytes>,"offset":n,"timestamp":"2025-01-01T00:00:00.000Z"}
Dead letter: {"value":"<base64>","headers":[{"key":...,"value":...},...],"offset":n,"timestamp":"..."}
"""

from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache

import orjson

from streaming_assets.lake.names import HEADER_PREFIX

_ON_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def fault(value: bytes | None) -> str | None:
    """Why `value` can't be a data line; None if it is one JSON object."""
    if value is None:
        return "the record has no value"
    try:
        parsed = orjson.loads(value)
    except ValueError as error:
        return f"not JSON: {error}" if value else "not JSON: the value is empty"
    return None if type(parsed) is dict else f"not a JSON object but of type {type(parsed).__name__}"


def data_line(value: bytes, offset: int, timestamp_ms: int) -> bytes:
    """One line, newline included, for a value without `fault` (or whatever is to be seen as it came)."""
    if b"\n" in value or b"\r" in value:  # inside valid JSON these are only ever white space
        value = value.translate(_ON_ONE_LINE)
    return b'{"value":%b,"offset":%d,"timestamp":"%b"}\n' % (value, offset, iso(timestamp_ms))


def dead_letter_line(
    value: bytes | None, reason: str, topic: str, partition: int, offset: int, timestamp_ms: int
) -> bytes:
    """One line, newline included, with the original bytes and where they came from."""
    errors = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "stage": "VALUE_CONVERTER",
        "exception.message": reason,
    }
    line = {
        "value": None if value is None else b64encode(value).decode(),
        "headers": [{"key": HEADER_PREFIX + key, "value": text} for key, text in errors.items()],
        "offset": offset,
        "timestamp": iso(timestamp_ms).decode(),
    }
    return orjson.dumps(line) + b"\n"


@lru_cache(maxsize=4096)  # a broker stamps a whole batch with one time
def iso(timestamp_ms: int) -> bytes:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ` of milliseconds since 1970, UTC."""
    second, millis = divmod(timestamp_ms, 1000)
    return b"%b.%03dZ" % (datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode(), millis)
