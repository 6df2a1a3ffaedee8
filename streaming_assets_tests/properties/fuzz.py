"""Objects and lines as nobody should write them, drawn from a seed: gzip and JSON mutated, values at every extreme.

`expected_lines` is the reference reader: Python's own gzip and json modules, on whole objects in memory.
"""

import gzip
import json
import zlib
from random import Random
from typing import Any

from streaming_assets.lake.names import ObjectName
from streaming_assets_tests.properties.reference_staging import CONTRACTS, Line
from streaming_assets_tests.properties.site import HOURS

NUMBERS = [
    "0", "-0", "-0.0", "1", "-1", "1.5", "1e3", "1E+2", "1e400", "1e-400", "0.1e1", "01", "+1", ".5", "1.", "1_000",
    "2147483647", "2147483648", "4294967296", "9007199254740991", "9007199254740992", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616",
    "999999999999", "999999999999.999", "1000000000000", "86400", "86400.004", "86400.5", "0.004", "0.005", "1" * 400,
    "1743199200000", "1743199200", "1743199200000000", "1743199200000000000", "4102444799999", "253402300799999",
]  # fmt: skip
WORDS = [
    "null",
    "true",
    "false",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
    "undefined",
    "None",
    '""',
    "{}",
    "[]",
]
TEXTS = [
    "", " ", "a", "ALL", "ma", "Massachusetts", "2801", "02801-1234", "[4]", "[Untitled]", "{}",
    '{"code":"MA"}', "=1+1",
    "\u5149", "D\u00e9j\u00e0 Vu", "De\u0301ja\u0300 Vu", "Beyonc\u00c3\u00a9",
    "a\x1fb", "\x1e", "\x7f", "\u2028", "\ufeff", "\U0001f600",
    "free", "Paid", "Logged In", "LOGGED_IN", "7", "007", " 7", "7 ", "1_000", "1e3", "NaN",
    "\u0661", "x" * 5000, "\u00df", "\u0130", "\ufb01",
]  # fmt: skip
INSERTS = [
    b",",
    b"}",
    b"{",
    b'"',
    b"\\",
    b"\x00",
    b"\xff",
    b"\t",
    b"\r",
    b"\n",
    b"\xef\xbb\xbf",
    b"\\ud800",
    b"\\u0000",
    b"/*x*/",
]


def objects(random: Random, count: int) -> dict[ObjectName, bytes]:
    """Objects of all topics and hours by name, a good part of them sound."""
    made = {}
    for number in range(count):
        topic = random.choice(list(CONTRACTS))
        name = ObjectName(
            topic, random.choice(HOURS), random.randrange(3), number * 1000, random.choice([None, "b"])
        )
        lines = [_line(random, topic, name.start_offset + row) for row in range(random.randrange(12))]
        made[name] = _packed(random, lines)
    return made


def expected_lines(name: ObjectName, data: bytes) -> list[Line] | None:
    """The lines of an object as the reference reads it; None if it can't."""
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    found = []
    for number, line in enumerate(text.split(b"\n")):
        bare = line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        if bare.strip(b" \t\r"):
            hour = name.hour.replace(tzinfo=None)
            try:
                told, fault = bare.decode(), None
            except UnicodeDecodeError:
                told, fault = bare.decode(errors="backslashreplace"), "no UTF-8"
            found.append(Line(name.topic, hour, str(name), name.partition, name.stream_epoch, told, fault))
    return found


def _line(random: Random, topic: str, offset: int) -> bytes:
    fields = {field["name"]: _value(random, field) for field in CONTRACTS[topic]["fields"]}
    if random.random() < 0.5:
        fields[random.choice(list(fields))] = _junk(random)
    if random.random() < 0.1:
        fields.pop(random.choice(list(fields)))
    pairs = list(fields.items())
    if random.random() < 0.2:
        random.shuffle(pairs)
    if random.random() < 0.1:
        pairs.append((random.choice(list(fields)), _junk(random)))  # a key that comes twice
    if random.random() < 0.1:
        pairs.append((random.choice(["Song", "TS", "extra", "\u00e9"]), _junk(random)))
    comma, colon = random.choice([(",", ":"), (", ", ": "), (" ,\t", " : ")])
    value = "{" + comma.join(f"{json.dumps(key)}{colon}{text}" for key, text in pairs) + "}"
    if random.random() < 0.05:
        value = _junk(random)
    parts = [f'"value"{colon}{value}', f'"offset"{colon}{random.choice([offset] * 9 + _ODD_OFFSETS)}']
    random.shuffle(parts)
    line = ("{" + comma.join(parts) + "}").encode("utf-8", "surrogatepass")
    while random.random() < 0.15:
        line = _mutated(random, line)
    return line


_ODD_OFFSETS: list[Any] = [
    "null",
    '"12"',
    "-9223372036854775808",
    "4611686018427387904",
    "1.5",
    '{"a":1}',
    '"x"',
]


def _value(random: Random, field: dict[str, Any]) -> str:
    name = field["name"]
    if field.get("time"):
        return str(1743199200000 + random.randrange(-3, 3) * 43_200_000)
    if name == "level":
        return random.choice(['"free"', '"paid"', '"Paid"'])
    if field["type"] == "string":
        return json.dumps(random.choice(["Logged In", *TEXTS[2:8]]), ensure_ascii=random.random() < 0.5)
    return str(random.randrange(1, 4))


def _junk(random: Random) -> str:
    kind = random.random()
    if kind < 0.4:
        return random.choice(NUMBERS)
    if kind < 0.6:
        return random.choice(WORDS)
    if kind < 0.9:
        text = (
            random.choice(TEXTS) if random.random() < 0.7 else "".join(chr(_scalar(random)) for _ in range(5))
        )
        return json.dumps(text, ensure_ascii=random.random() < 0.5)
    return random.choice(
        ['{"code": "MA"}', '[1, {"a": "b"}]', "[" * 50 + "]" * 50, '"\\ud800"', '"\\udc00x"', '"\\q"']
    )


def _scalar(random: Random) -> int:
    point = random.randrange(1, random.choice([0x80, 0x800, 0x10000, 0x110000]))
    return point if not 0xD800 <= point <= 0xDFFF else 0x41


def _mutated(random: Random, line: bytes) -> bytes:
    at = random.randrange(len(line) + 1)
    kind = random.randrange(5)
    if kind == 0:
        return line[:at]
    if kind == 1:
        return line[:at] + random.choice(INSERTS) + line[at:]
    if kind == 2:
        return line[:at] + line[at + random.randrange(1, 4) :]
    if kind == 3:
        return line[:at] + bytes([random.randrange(256)]) + line[at + 1 :]
    return line.replace(b"}", b",}", 1)


def _packed(random: Random, lines: list[bytes]) -> bytes:
    text = random.choice([b"\n", b"\n", b"\n", b"\r\n", b"\n\n"]).join(lines) + random.choice(
        [b"", b"\n", b"\n \t\n"]
    )
    if random.random() < 0.05:
        text = b"\xef\xbb\xbf" + text
    data = gzip.compress(text, random.choice([1, 6]), mtime=0)
    kind = random.random()
    if kind < 0.02:
        return data[: random.randrange(len(data))]
    if kind < 0.04:
        at = random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ random.randrange(1, 256)]) + data[at + 1 :]
    if kind < 0.06:
        return data + bytes(random.randrange(1, 600))
    if kind < 0.08:
        return data[:3] + b"\x10" + data[4:10] + b"a comment\0" + data[10:]
    if kind < 0.1:
        return data + gzip.compress(b"\n" + text)
    if kind < 0.12:
        return random.choice([text, b"", b"<html>", data + b"garbage"])
    return data
