"""docs/runbook.md, made from the runbook's entries; as a program, writes it."""

from collections.abc import Iterator, Mapping

from streaming_assets.monitoring.runbook import CHECKS, DBT_TEST, ENTRIES, TASKS, Entry
from streaming_assets.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "runbook.md"
HEAD = """# Runbook

<!-- Made by `python -m streaming_assets_tests.docs.runbook_page`, from streaming_assets/monitoring/runbook.py. -->

`streaming-assets status` and alerts tell what is wrong by these names. START and END are the first of the hours that
they name and the hour after the last, such as `2026-11-20T05:00Z 2026-11-20T06:00Z`. [Operations](operations.md) has
Dagster's pages, [reliability](reliability.md) what heals by itself, and how rows in quarantine are repaired.
"""


def page() -> str:
    """The page's text."""
    tables = (("What is told", ENTRIES), ("Failing checks", _checks()), ("Tasks", TASKS))
    return HEAD + "\n".join(line for title, entries in tables for line in _table(title, entries)) + "\n"


def _checks() -> Mapping[str, Entry]:
    return CHECKS | {"any test of dbt": DBT_TEST}


def _table(title: str, entries: Mapping[str, Entry]) -> Iterator[str]:
    yield from (
        "",
        f"## {title}",
        "",
        "| name | what it means | what to look at | what to type |",
        "|---|---|---|---|",
    )
    for name, entry in entries.items():
        typed = ", ".join(f"`{command}`" for command in entry.commands)
        yield f"| {name if ' ' in name else f'`{name}`'} | {entry.meaning} | {entry.look} | {typed} |"


if __name__ == "__main__":
    PAGE.write_text(page())
