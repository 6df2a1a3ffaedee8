"""Log lines as JSON, one an event: when, how grave, whose, what, and what more is known of it."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def json_line(time: datetime, level: str, source: str, message: str, **more: Any) -> str:
    """The line, without its end: `{"time": "...Z", "level": "INFO", "source": "sink", "message": "...", ...}`.

    Args:
        time: when it happened; one without a zone is local.
        more: what is known beside; None is left out.
    """
    moment = time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told = {"time": moment, "level": level, "source": source, "message": message}
    known = {name: value for name, value in more.items() if value is not None}
    return json.dumps({**told, **known}, ensure_ascii=False, default=str)


def parsed_line(line: str) -> Mapping[str, Any] | None:
    """What `json_line` made; None of any other line."""
    if not line.startswith('{"time": '):
        return None
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


class JsonLines(logging.Formatter):
    """Log records as JSON lines of one source, a trace with its lines under `error`."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source

    def format(self, record: logging.LogRecord) -> str:
        more = {"error": self.formatException(record.exc_info) if record.exc_info else None}
        message = record.getMessage()
        time = datetime.fromtimestamp(record.created, UTC)
        return json_line(time, record.levelname, self._source, message, **more)
