"""docs/runbook.md is what the entries say; each check has one, and what they have typed is a command."""

import json
import re

import pytest
import typer

from streaming_assets.cli import app
from streaming_assets.monitoring.conditions import Condition
from streaming_assets.monitoring.runbook import CHECKS, DBT_TEST, ENTRIES, TASKS, entry_of
from streaming_assets_tests.assets.listing import LISTING
from streaming_assets_tests.docs.runbook_page import PAGE, page

TESTS_OF_DBT = re.compile(
    r"no_nulls|\w+_(is|are)_unique|\w+_is_known|\w+_is_in_range|\w+_is_in_dim_\w+|assert_\w+"
)
COMMANDS = sorted(
    {c for entry in [*ENTRIES.values(), *CHECKS.values(), *TASKS.values(), DBT_TEST] for c in entry.commands}
)


def test_the_page_is_made_of_the_entries() -> None:
    assert PAGE.read_text() == page(), "make it anew: python -m streaming_assets_tests.docs.runbook_page"


def test_each_check_of_the_graph_has_its_entry() -> None:
    listed = json.loads(LISTING.read_text())["checks"]
    names = {check.rpartition(": ")[2] for check in listed}
    assert {name for name in names if not TESTS_OF_DBT.fullmatch(name)} == {*CHECKS}
    for check in listed:
        entry = entry_of(Condition("check_failing", check, ""))
        assert entry is CHECKS.get(check.rpartition(": ")[2], DBT_TEST)


@pytest.mark.parametrize("command", COMMANDS, ids=COMMANDS)
def test_what_is_typed_is_a_command_with_its_arguments(command: str) -> None:
    program, *words = command.split()
    assert program == "streaming-assets"
    found = typer.main.get_command(app)
    while words and isinstance(found, typer.core.TyperGroup):
        found = found.commands[words.pop(0)]
    if words != ["--help"]:
        found.make_parser(typer.Context(found)).parse_args(list(words))
        required = [one for one in found.params if one.required]
        assert len(required) <= len(words)
