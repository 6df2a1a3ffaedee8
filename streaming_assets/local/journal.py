"""What a service of the local system says: all of it in a file that rotates, a little of it for the console."""

import logging
import re
from collections import deque
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from streaming_assets.log_lines import json_line, parsed_line

FILE_BYTES = 5 * 1024 * 1024
FILES = 3  # former ones that are kept beside the current one
LAST_LINES = 12
SHOWN_A_MINUTE = 5
SHOWN_CHARACTERS = 200

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_RUN_ID = re.compile(
    r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
)  # shown as pages do
_DATED = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:")
# The level as loggers put it, near the start of a line; what follows the date and names is the message.
_SERIOUS = re.compile(
    r"^[^A-Za-z]{0,40}(?:[\w.]+ ?- )?(?P<level>WARNING|ERROR|CRITICAL)\b[\s:-]*(?P<rest>.*)"
)


class Journal:
    """The output of one service.

    Args:
        folder: where its file is.
        name: the service's.
        as_json: whether the file has JSON lines; the service may write these itself.

    Attributes:
        path: the file of all its lines, each with its time; older ones are beside it, `.1` to `.3`.
        last: its last lines.
    """

    def __init__(self, folder: Path, name: str, as_json: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.log"
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self._name, self._as_json = name, as_json
        self._notices = Notices()
        self._file = RotatingFileHandler(
            self.path, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8", errors="replace"
        )

    def add(self, line: str, now: datetime) -> list[str]:
        """Keep a line of output; what of it is to be shown at once."""
        line = _COLOURS.sub("", line).rstrip()
        if not line:
            return []
        self.last.append(line)
        parsed = parsed_line(line)
        self._file.handle(logging.makeLogRecord({"msg": line if parsed else self._kept(line, now)}))
        return self._notices.take(f"{parsed['level']}: {parsed['message']}" if parsed else line, now)

    def _kept(self, line: str, now: datetime) -> str:
        if self._as_json:
            serious = _SERIOUS.match(line)
            return json_line(now, serious["level"] if serious else "INFO", self._name, line)
        return line if _DATED.match(line) else f"{now:%Y-%m-%d %H:%M:%S} {line}"

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Notices:
    """Chooses the warnings and errors that are shown: a few a minute, the others counted."""

    def __init__(self) -> None:
        self._minute: datetime | None = None
        self._shown = self._left_out = 0

    def take(self, line: str, now: datetime) -> list[str]:
        """What to show at a line of output: nothing, or its message, after how many were left out before it."""
        found = _SERIOUS.match(line)
        if not found:
            return []
        told = []
        if self._minute is None or (now - self._minute).total_seconds() >= 60:
            if self._left_out:
                told.append(f"{self._left_out} more warnings and errors")
            self._minute, self._shown, self._left_out = now, 0, 0
        if self._shown == SHOWN_A_MINUTE:
            self._left_out += 1
            return told
        self._shown += 1
        return [*told, _short(_RUN_ID.sub(r"\1", found["rest"]))]


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."
