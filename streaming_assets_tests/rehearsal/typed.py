"""What is typed, as docs/runbook.md has it."""

import re

from streaming_assets.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "runbook.md"
_HOUR = r"\d{4}-\d\d-\d\dT\d\d:00Z"
_RANGE = re.compile(f"{_HOUR} {_HOUR}")


def commands_of(name: str) -> list[str]:
    """The commands of an entry, in their order.

    Raises:
        KeyError: the page has no such entry.
    """
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if cells[0].strip("`") == name:
            return re.findall("`([^`]+)`", cells[-1])
    raise KeyError(name)


def as_on_the_page(command: str) -> str:
    """A command that an alert gave, with START and END for the hours that it filled in."""
    return _RANGE.sub("START END", command)
