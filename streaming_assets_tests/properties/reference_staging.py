"""What staging must hold, from the lake's lines: judged, typed, and copies within an hour folded into one."""

import json
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

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project" / "dbt_project.yml"
VARS = yaml.safe_load(PROJECT.read_text())["vars"]
EPOCH = datetime(1970, 1, 1)
MILLISECOND = timedelta(milliseconds=1)
_WHOLE = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Line:
    """A line of an object and where it lies; `hour` is naive UTC."""

    topic: str
    hour: datetime
    object_name: str
    partition: int
    life: str | None
    text: str


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
        "stg_listen_events": _folded(staged.get("listen_events", []), _listen),
        "stg_page_view_events": _folded(staged.get("page_view_events", []), _view),
        "stg_status_change_events": _folded(staged.get("status_change_events", []), _change),
        "stg_users": _folded(staged.get("user_info", []), _info, by_user=True),
        "stg_quarantine": [_quarantined(row) for rows in judged.values() for row in rows if row["verdict"]],
        "stg_filtered_rows": _counted(
            {"topic": "page_view_events", "bucket_ingestion_datetime": row["hour"], "auth": row["auth"]}
            for row in judged["page_view_events"]
            if row["filtered"]
        ),
        "stg_offset_ranges": _offset_ranges(row for rows in judged.values() for row in rows),
    }


# Lines to typed rows


def _judge(line: Line) -> Row:
    row: Row = {
        "hour": line.hour,
        "object_name": line.object_name,
        "kafka_partition": line.partition,
        "life": line.life,
        "raw_text": line.text,
        "topic": line.topic,
        "kafka_offset": None,
        "verdict": None,
        "filtered": False,
    }
    try:
        record = json.loads(line.text)
    except ValueError:
        return row | {"verdict": "malformed JSON"}
    value = None
    if isinstance(record, dict):
        value = record.get("value")
        row["kafka_offset"] = _integer(_text(record.get("offset")))
    if not isinstance(value, dict):
        return row | {"verdict": "value is no object"}
    texts = {field["column"]: _text(value.get(field["name"])) for field in VARS["event_fields"][line.topic]}
    if line.topic == "page_view_events" and texts["auth"] not in (None, VARS["staged_auth"]):
        return row | {"filtered": True, "auth": texts["auth"]}
    for field in VARS["event_fields"][line.topic]:
        column, text = field["column"], texts[field["column"]]
        row[column] = (
            {"integer": _integer, "number": _number, "string": str}[field["type"]](text)
            if text is not None
            else None
        )
        if text is None and field.get("required"):
            return row | {"verdict": f"missing {field['name']}"}
        if text is not None and row[column] is None:
            return row | {"verdict": f"mistyped {field['name']}"}
        if row[column] is not None and not _possible(column, row[column]):
            return row | {"verdict": f"impossible {field['name']}"}
    return row


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def _integer(text: str | None) -> int | None:
    if text is None or not _WHOLE.fullmatch(text):
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def _number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return number if abs(number) < 10**12 else None


def _possible(column: str, value: Any) -> bool:
    checks: dict[str, Callable[[Any], bool]] = {
        "ts": lambda ms: 0 <= ms <= 4102444799999,
        "registration": lambda ms: 0 <= ms <= 4102444799999,
        "level": lambda level: level.lower() in ("free", "paid"),
        "duration": lambda seconds: hundredths(seconds) > 0,
        "ad_revenue": lambda usd: usd >= 0,
    }
    return checks[column](value) if column in checks else True


_CASTS: dict[str, Callable[[str], Any]] = {"integer": _integer, "number": _number, "string": str}


def hundredths(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND


def clean_title(text: str) -> str:
    return re.sub(r'[^\x00-\x7f]|"', "", text)


def surrogate_key(*values: Any) -> str:
    return md5("\x1f".join("\x1e" if value is None else str(value) for value in values).encode()).hexdigest()


# Staging


def _quarantined(row: Row) -> Row:
    columns = ("topic", "life", "kafka_partition", "kafka_offset", "object_name", "raw_text")
    return {
        "bucket_ingestion_datetime": row["hour"],
        "dead_letter_offset": None,
        "reason": row["verdict"],
        **{column: row[column] for column in columns},
    }


def _counted(rows: Iterable[Row]) -> list[Row]:
    counts = Counter(tuple(row.items()) for row in rows)
    return [dict(items) | {"row_count": count} for items, count in counts.items()]


def _offset_ranges(rows: Iterable[Row]) -> list[Row]:
    groups: dict[tuple, Counter] = defaultdict(Counter)
    for row in rows:
        groups[row["topic"], row["hour"], row["life"], row["kafka_partition"]][row["kafka_offset"]] += 1
    ranges = []
    for (topic, hour, life, partition), counts in groups.items():
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
                "life": life,
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

    The first is that with the lowest coordinates; of a user's records that with the earliest time.
    """
    copies = defaultdict(list)
    for row in rows:
        identity = (
            [row["user_id"]]
            if by_user
            else [row["user_id"], row["session_id"], row["item_in_session"], row["ts"]]
        )
        copies[row["hour"], *identity].append(row)

    def order(row: Row) -> tuple:
        coordinates = (row["life"] or "", row["kafka_partition"], _nulls_last(row["kafka_offset"]))
        return (row["ts"] if by_user else 0, *coordinates, row["raw_text"], row["object_name"])

    folded = []
    for same in copies.values():
        first = min(same, key=order)
        identity = (
            ("user_info", first["user_id"], first["ts"])
            if by_user
            else (
                first["topic"],
                first["user_id"],
                first["session_id"],
                first["item_in_session"],
                first["ts"],
            )
        )
        folded.append(
            build(first)
            | {
                "event_datetime": _moment(first["ts"]),
                "bucket_ingestion_datetime": first["hour"],
                "user_id": first["user_id"],
                "event_id": surrogate_key(*identity),
                "life": first["life"],
                "kafka_partition": first["kafka_partition"],
                "kafka_offset": first["kafka_offset"],
                "copies": len(same),
            }
        )
    return folded


def _nulls_last(value: int | None) -> tuple[bool, int]:
    return (value is None, value or 0)


def state_or_none(state: str | None) -> str:
    return "NO STATE" if state in (None, "ALL") else str(state)


def _in_session(row: Row) -> Row:
    return {"session_id": row["session_id"], "item_in_session": row["item_in_session"]}


def _place(row: Row) -> Row:
    return {
        "postal_code": row["zip"] or None,
        "city": "NO CITY" if row["city"] is None else row["city"],
        "state": state_or_none(row["state"]),
        "level": row["level"].lower(),
    }


def _listen(row: Row) -> Row:
    song = {
        "song": clean_title(row["song"]),
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
