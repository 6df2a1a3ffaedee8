"""What staging must hold, from the lake's lines: judged, typed, and copies within an hour folded into one."""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from hashlib import md5
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]
Tables = dict[str, list[Row]]

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
VARS = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
NAMED = "staged"  # not a table: the rows, copies among them, that name songs and places
EPOCH = datetime(1970, 1, 1)
MILLISECOND = timedelta(milliseconds=1)
_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BLANKS = " \t\n\r"
GREATEST_OFFSET = 2**62 - 1
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Line:
    """A line of an object and where it lies; `hour` is naive UTC, `fault` what is wrong with it as a line."""

    topic: str
    hour: datetime
    object_name: str
    partition: int
    stream_epoch: str | None
    text: str
    fault: str | None = None


def expected_staging(lines: Iterable[Line]) -> Tables:
    """The staging tables, given every line of the lake."""
    judged = defaultdict(list)
    for line in lines:
        judged[line.topic].append(_judge(line))
    staged = {
        topic: [row for row in rows if row["verdict"] is None and not row["filtered"]]
        for topic, rows in judged.items()
    }
    return {
        NAMED: staged.get("listen_events", []) + staged.get("page_view_events", []),
        "stg_listen_events": _folded(staged.get("listen_events", []), _listen),
        "stg_page_view_events": _folded(staged.get("page_view_events", []), _view),
        "stg_status_change_events": _folded(staged.get("status_change_events", []), _change),
        "stg_users": _folded(staged.get("user_info", []), _info, by_user=True),
        "stg_quarantine": [_quarantined(row) for rows in judged.values() for row in rows if row["verdict"]],
        "stg_filtered_rows": _counted(
            {
                "topic": topic,
                "bucket_ingestion_datetime": row["hour"],
                "field": row["filtered"]["field"],
                "value": row["filtered"]["value"],
            }
            for topic, rows in judged.items()
            for row in rows
            if row["filtered"]
        ),
        "stg_field_profile": [
            figures
            for topic, rows in judged.items()
            if topic in CONTRACTS
            for figures in _profile(topic, rows)
        ],
        "stg_offset_ranges": _offset_ranges(row for rows in judged.values() for row in rows),
    }


# Contracts, as their files say it


def _contracts() -> dict[str, Row]:
    found = {}
    for path in sorted((PROJECT / "models" / "sources").glob("*.yml")):
        for source in yaml.safe_load(path.read_text())["sources"]:
            for table in source["tables"]:
                contract = table.get("config", {}).get("meta", {}).get("contract")
                if contract:
                    columns = [
                        {"name": c["name"], "type": c["data_type"]} | c.get("config", {}).get("meta", {})
                        for c in table["columns"]
                    ]
                    found[contract["topic"]] = contract | {"fields": [c for c in columns if "column" in c]}
    return found


CONTRACTS = _contracts()


def _columns(topic: str, of_identity: bool) -> list[str]:
    contract = CONTRACTS[topic]
    names = contract["identity"]
    if of_identity:
        return [field["column"] for name in names for field in contract["fields"] if field["name"] == name]
    return [field["column"] for field in contract["fields"] if field["name"] not in names]


# Lines to typed rows


def _judge(line: Line) -> Row:
    row: Row = {
        "hour": line.hour,
        "object_name": line.object_name,
        "kafka_partition": line.partition,
        "stream_epoch": line.stream_epoch,
        "raw_text": line.text,
        "topic": line.topic,
        "kafka_offset": None,
        "verdict": None,
        "filtered": None,
    }
    record = MALFORMED if line.fault else _parsed(line.text)
    if record is MALFORMED:
        shown = re.findall(r'"offset"\s*:\s*(-?[0-9]{1,19})\b', line.text)
        offset = _offset(shown[0] if len(shown) == 1 else None)
        return row | {"verdict": line.fault or "malformed JSON", "kafka_offset": offset}
    value = None
    if isinstance(record, dict):
        value = record.get("value")
        row["kafka_offset"] = _offset(_text(record.get("offset")))
    if not isinstance(value, dict):
        return row | {"verdict": "value is no object"}
    contract = CONTRACTS[line.topic]
    values = {field["column"]: value.get(field["name"]) for field in contract["fields"]}
    texts = {column: _text(found) for column, found in values.items()}
    declared = contract.get("filter")
    if declared:
        column = next(f["column"] for f in contract["fields"] if f["name"] == declared["field"])
        if not isinstance(values[column], dict | list) and texts[column] not in (None, *declared["keep"]):
            filtered = {"field": declared["field"], "value": texts[column]}
            return row | {"filtered": filtered, column: texts[column]}
    verdicts = [
        _field_verdict(row, field, values[field["column"]], texts[field["column"]])
        for field in contract["fields"]
    ]
    return row | {"verdict": next((verdict for verdict in verdicts if verdict), None)}


MALFORMED = object()


def _parsed(text: str) -> Any:
    """A line of RFC 8259, of a key that comes twice the first value counts."""

    def first(pairs: list[tuple[str, Any]]) -> Row:
        found: Row = {}
        for key, value in pairs:
            json.dumps([key, value], ensure_ascii=False).encode()  # a lone surrogate is no character
            found.setdefault(key, value)
        return found

    def number(text: str) -> float | str:
        return float(text) if math.isfinite(float(text)) else text

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        record = json.loads(text, object_pairs_hook=first, parse_constant=refuse, parse_float=number)
        json.dumps(record, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return MALFORMED
    return record


def _field_verdict(row: Row, field: Row, value: Any, text: str | None) -> str | None:
    name, column = field["name"], field["column"]
    row[column] = None
    if text is None:
        return f"missing {name}" if field.get("required") else None
    if field["type"] == "string" and isinstance(value, dict | list):
        return f"mistyped {name}"
    typed = _CASTS[field["type"]](text)
    row[column] = typed
    if typed is None:
        return f"mistyped {name}"
    if not field.get("minimum", typed) <= typed <= field.get("maximum", typed) or not _possible(
        column, typed
    ):
        return f"impossible {name}"
    return _implausible(row, field, typed) if field.get("time") else None


def _implausible(row: Row, field: Row, ms: int) -> str | None:
    name, ahead = field["name"], VARS["event_time_ahead_hours"]
    first = (datetime.fromisoformat(field["earliest"]) - EPOCH) // MILLISECOND
    last = (row["hour"] - EPOCH) // MILLISECOND + ahead * HOUR_MS
    if first <= ms <= last:
        return None
    for unit, one in (("seconds", Decimal("0.001")), ("microseconds", 1000), ("nanoseconds", 1_000_000)):
        if first * one <= ms <= last * one:
            return f"{name} looks like {unit}"
    if ms < first:
        return f"{name} before {field['earliest']}"
    return f"{name} after its ingestion hour by more than {ahead} h"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _integer(text: str | None) -> int | None:
    if text is None or not _WHOLE.fullmatch(text):
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def _offset(text: str | None) -> int | None:
    found = _integer(text)
    return found if found is not None and 0 <= found <= GREATEST_OFFSET else None


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() > 12:  # quantize refuses what no decimal(18, 6) could hold
        return None
    number = number.quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return number if abs(number) < 10**12 else None


def _possible(column: str, value: Any) -> bool:
    """The contracts' conditions, told once more in Python."""
    checks: dict[str, Callable[[Any], bool]] = {
        "level": lambda level: level.lower() in ("free", "paid"),
        "duration": lambda seconds: hundredths(seconds) > 0,
    }
    return checks[column](value) if column in checks else True


_CASTS: dict[str, Callable[[str], Any]] = {"integer": _integer, "number": _number, "string": str}


def hundredths(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def surrogate_key(*values: Any) -> str:
    parts = ("-" if value is None else "=" + str(value).replace("~", "~~") for value in values)
    return md5("~,".join(parts).encode()).hexdigest()


# Staging


def _quarantined(row: Row) -> Row:
    columns = ("topic", "stream_epoch", "kafka_partition", "kafka_offset", "object_name", "raw_text")
    return {
        "bucket_ingestion_datetime": row["hour"],
        "dead_letter_offset": None,
        "reason": row["verdict"],
        **{column: row[column] for column in columns},
    }


def _counted(rows: Iterable[Row]) -> list[Row]:
    counts = Counter(tuple(row.items()) for row in rows)
    return [dict(items) | {"row_count": count} for items, count in counts.items()]


def _profile(topic: str, rows: list[Row]) -> Iterable[Row]:
    """What each hour's rows say in each field."""
    contract = CONTRACTS[topic]
    hours = defaultdict(list)
    for row in rows:
        hours[row["hour"]].append(row)
    same = ["user_id"] if topic == "user_info" else _columns(topic, of_identity=True)
    contents = [column for column in _columns(topic, of_identity=False) if column not in same]
    for hour, found in hours.items():
        staged = [row for row in found if row["verdict"] is None and not row["filtered"]]
        copies = defaultdict(list)
        for row in staged:
            copies[tuple(row[column] for column in same)].append(row)
        for field in contract["fields"]:
            column, usual = field["column"], field.get("usual", {})
            of_all = field["name"] == contract.get("filter", {}).get("field")
            looked_at = [row for row in found if row["verdict"] is None] if of_all else staged
            if "where" in usual:
                looked_at = [row for row in looked_at if _is_expected(column, row)]
            values = [row[column] for row in looked_at if row[column] is not None]
            known = field.get("values")
            if isinstance(known, str):
                known = [value for listed in VARS[known].values() for value in listed]
            unknown = [value for value in values if known and value not in known]
            numbers = values if field["type"] == "number" else []
            differing = [events for events in copies.values() if len({row[column] for row in events}) > 1]
            yield {
                "topic": topic,
                "bucket_ingestion_datetime": hour,
                "field": field["name"],
                "row_count": len(looked_at),
                "null_count": len(looked_at) - len(values),
                "unknown_count": len(unknown),
                "unknown_value": min(unknown, default=None),
                "lowest": _rounded(min(numbers, default=None)),
                "highest": _rounded(max(numbers, default=None)),
                "mean": _rounded(sum(numbers) / len(numbers) if numbers else None),
                "differing_events": len(differing) if column in contents else 0,
            }


def _is_expected(column: str, row: Row) -> bool:
    """Of which rows a field is expected, told once more in Python."""
    return row["page"] == "PlayAd" if column == "ad_revenue" else True


def _rounded(number: Decimal | None) -> Decimal | None:
    return None if number is None else number.quantize(Decimal("0.0001"), ROUND_HALF_UP)


def _offset_ranges(rows: Iterable[Row]) -> list[Row]:
    groups: dict[tuple, Counter] = defaultdict(Counter)
    for row in rows:
        groups[row["topic"], row["hour"], row["stream_epoch"], row["kafka_partition"]][
            row["kafka_offset"]
        ] += 1
    ranges = []
    for (topic, hour, stream_epoch, partition), counts in groups.items():
        runs: list[list[int | None]] = [[None]] if None in counts else []
        for offset in sorted(offset for offset in counts if offset is not None):
            if runs and runs[-1][-1] == offset - 1:
                runs[-1].append(offset)
            else:
                runs.append([offset])
        ranges += [
            {
                "topic": topic,
                "bucket_ingestion_datetime": hour,
                "stream_epoch": stream_epoch,
                "kafka_partition": partition,
                "first_offset": run[0],
                "last_offset": run[-1],
                "row_count": sum(counts[offset] for offset in run),
            }
            for run in runs
        ]
    return ranges


def _folded(rows: list[Row], build: Callable[[Row], Row], by_user: bool = False) -> list[Row]:
    """One row an hour and event, of user_info an hour and user, built from the first copy.

    The first is that with the lowest coordinates, of one place with the least content; of a user's records that with
    the earliest time.
    """
    copies = defaultdict(list)
    for row in rows:
        identity = ["user_id"] if by_user else _columns(row["topic"], of_identity=True)
        copies[row["hour"], *(row[column] for column in identity)].append(row)

    def order(row: Row) -> tuple:
        coordinates = (row["stream_epoch"] or "", row["kafka_partition"], _nulls_last(row["kafka_offset"]))
        content = [
            (row[column] is None, row[column] or 0) for column in _columns(row["topic"], of_identity=False)
        ]
        return (row["ts"] if by_user else 0, *coordinates, *content)

    folded = []
    for same in copies.values():
        first = min(same, key=order)
        identity = [first[column] for column in _columns(first["topic"], of_identity=True)]
        folded.append(
            build(first)
            | {
                "event_datetime": _moment(first["ts"]),
                "bucket_ingestion_datetime": first["hour"],
                "user_id": first["user_id"],
                "event_id": surrogate_key(first["topic"], *identity),
                "stream_epoch": first["stream_epoch"],
                "kafka_partition": first["kafka_partition"],
                "kafka_offset": first["kafka_offset"],
                "copies": len(same),
            }
        )
    return folded


def _nulls_last(value: int | None) -> tuple[bool, int]:
    return (value is None, value or 0)


def trimmed(text: str | None) -> str | None:
    return (text or "").strip(_BLANKS) or None


def state_code_or_none(state: str | None) -> str:
    codes = {name.upper(): code for code, name in VARS["us_states"].items()}
    clean = upper(trimmed(state))
    clean = codes.get(clean or "", clean)
    return "NO STATE" if clean in (None, "ALL") else str(clean)


def postal_code(text: str | None, country: str | None = "US") -> str | None:
    clean = upper(trimmed(text))
    return clean.rjust(5, "0") if clean and country == "US" and re.fullmatch("[0-9]{1,4}", clean) else clean


def upper(text: str | None) -> str | None:
    return text.upper() if text and text.isascii() else text


def _in_session(row: Row) -> Row:
    return {"session_id": row["session_id"], "item_in_session": row["item_in_session"]}


def _place(row: Row) -> Row:
    return {
        "postal_code": postal_code(row["zip"]),
        "city": trimmed(row["city"]) or "NO CITY",
        "state": state_code_or_none(row["state"]),
        "level": row["level"].lower(),
    }


def _listen(row: Row) -> Row:
    song = {
        "song": row["song"],
        "artist": row["artist"],
        "duration": hundredths(row["duration"]),
    }
    return _place(row) | _in_session(row) | song


def _view(row: Row) -> Row:
    agent = row["user_agent"] and row["user_agent"].strip('"')
    page = {"page": row["page"], "user_agent": agent, "ad_revenue": row["ad_revenue"]}
    return _place(row) | _in_session(row) | page


def _change(row: Row) -> Row:
    return _in_session(row) | {"prev_level": row["level"].lower()}


def _info(row: Row) -> Row:
    names = {column: row[column] for column in ("first_name", "last_name", "gender")}
    return names | {"level": row["level"].lower(), "registration_datetime": _moment(row["registration"])}
