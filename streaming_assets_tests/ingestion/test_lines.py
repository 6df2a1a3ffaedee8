"""Lines of data and dead letters, and what counts as one JSON object."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming_assets.ingestion.lines import data_line, dead_letter_line, fault, iso

json_objects = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.lists(st.text())
)


@given(json_objects, st.sampled_from([None, 1]), st.booleans(), st.integers(0, 2**63 - 1))
def test_any_object_keeps_its_content_on_one_line(
    event: dict, indent: int | None, ascii_only: bool, offset: int
) -> None:
    value = json.dumps(event, indent=indent, ensure_ascii=ascii_only).encode()
    assert fault(value) is None
    line = data_line(value, offset, 1_744_293_845_007)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"value": event, "offset": offset, "timestamp": "2025-04-10T14:04:05.007Z"}


STRICT = {  # RFC 8259, and where it leaves more than one answer, the stricter
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "trailing comma": b'{"a":1,}',
    "comma in a list": b'{"a":[1,]}',
    "infinity": b'{"a":Infinity}',
    "minus infinity": b'{"a":-Infinity}',
    "no number": b'{"a":NaN}',
    "leading zero": b'{"a":01}',
    "bare point": b'{"a":1.}',
    "no digit before the point": b'{"a":.5}',
    "plus": b'{"a":+1}',
    "underscore": b'{"a":1_000}',
    "hexadecimal": b'{"a":0x10}',
    "single quotes": b"{'a':1}",
    "bare key": b"{a:1}",
    "raw tab in a string": b'{"a":"\t"}',
    "unknown escape": b'{"a":"\\x41"}',
    "comment": b'{"a":1}//',
    "zero byte after it": b'{"a":1}\x00',
    "no-break space after it": b'{"a":1}\xc2\xa0',
    "capital literal": b'{"a":True}',
    "encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "escaped surrogate alone": b'{"a":"\\ud800"}',
    "more than a double holds": b'{"a":1e400}',
    "1,100 levels": b'{"a":' * 1100 + b"1" + b"}" * 1100,
}
KEPT = {
    "duplicate keys": b'{"a":1,"a":2}',
    "keys that differ in case": b'{"A":1,"a":2}',
    "more digits than an integer holds": b'{"a":123456789012345678901234567890}',
    "minus zero": b'{"a":-0.0}',
    "capital exponent": b'{"a":1E+5}',
    "escaped zero byte": b'{"a":"\\u0000"}',
    "line separator": b'{"a":"\xe2\x80\xa8"}',
    "surrogates in pairs": b'{"a":"\\ud83d\\ude00"}',
    "white space": b' \t{ "a" : [ ] } \r\n',
    "1,000 levels": b'{"a":' * 1000 + b"1" + b"}" * 1000,
}


@pytest.mark.parametrize("value", STRICT.values(), ids=STRICT)
def test_what_is_not_strictly_json_is_no_data_line(value: bytes) -> None:
    assert str(fault(value)).startswith("not JSON: ")


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_what_is_json_keeps_its_bytes(value: bytes) -> None:
    assert fault(value) is None
    assert data_line(value, 7, 0).startswith(b'{"value":' + value.replace(b"\r\n", b"  ") + b',"offset":7,')


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_no_white_space_inside_an_event_ends_its_line(end: bytes) -> None:
    line = data_line(b'{"a":' + end + b"1" + end + b"}", 0, 0)
    assert line[:-1].splitlines() == [line[:-1]]
    assert json.loads(line)["value"] == {"a": 1}


def test_the_event_keeps_its_own_bytes() -> None:
    value = b'{ "b":1.50, "a" : 12345678901234567890123, "c":"\xe2\x80\xa8 \\u00e9" }'
    assert fault(value) is None
    assert value in data_line(value, 0, 0)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "empty"),
        (b"   ", "not JSON"),
        (b'{"a":1', "not JSON"),
        (b'{"a":1} trailing', "not JSON"),
        (b'{"a":1}{"a":2}', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":"\xff"}', "not JSON"),
        (b"[1]", "type list"),
        (b"7", "type int"),
        (b'"text"', "type str"),
        (b"null", "type NoneType"),
        pytest.param(b"[" * 100_000, "not JSON", id="deep"),
    ],
)
def test_what_is_no_object_has_a_reason_and_keeps_its_bytes(value: bytes | None, reason: str) -> None:
    found = fault(value)
    assert found is not None
    assert reason in found
    letter = json.loads(dead_letter_line(value, found, "user_info", 3, 42, 1_744_293_845_007))
    assert (letter["value"] and base64.b64decode(letter["value"])) == (
        value or (None if value is None else "")
    )
    assert {header["key"]: header["value"] for header in letter["headers"]} == {
        "__connect.errors.topic": "user_info",
        "__connect.errors.partition": "3",
        "__connect.errors.offset": "42",
        "__connect.errors.stage": "VALUE_CONVERTER",
        "__connect.errors.exception.message": found,
    }
    assert (letter["offset"], letter["timestamp"]) == (42, "2025-04-10T14:04:05.007Z")


def test_times() -> None:
    assert iso(0) == b"1970-01-01T00:00:00.000Z"
    assert iso(1_735_689_599_999) == b"2024-12-31T23:59:59.999Z"
