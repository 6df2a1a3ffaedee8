"""The house of docs/architecture.md: its rooms are the tree, and imports between them go one way."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "streaming_assets"
# From the ground up: each room may import those before it. A module of the package itself is a room of one.
ROOMS = [
    "contracts text files log_lines",
    "events",
    "subjects",
    "settings",
    "home lake web_guard",
    "partitions ingestion",
    "contract_tools simulator",
    "reference warehouses",
    "dagster_runtime published",
    "dashboards",
    "bi",
    "assets",
    "checks",
    "automation local",
    "monitoring gcp",
    "definitions",
    "warm",
    "cli",
    "__main__",
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms.split()}
# Rooms that know nothing of Dagster: they can be used, and understood, without it.
PLAIN = [
    *" ".join(ROOMS[:5]).split(),
    "ingestion",
    "contract_tools",
    "simulator",
    "reference",
    "published",
    "dashboards",
    "bi",
]


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it; of `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(file for file in PACKAGE.rglob("*.py") if room_of(file) not in ("testing", "__init__"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_one_way(file: Path) -> None:
    own = room_of(file)
    for module in imported(file):
        assert not module.startswith("streaming_assets_tests"), f"{module}: the product knows no tests"
        name, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if name == "streaming_assets" and other and other != own:
            assert FLOOR[other] < FLOOR[own], f"{own} imports {other}, which is no room below it"
        assert name != "dagster" or own not in PLAIN, f"{own} is to know nothing of Dagster"


# dbt-duckdb's plugins are made to be derived from.
PRIVATE = re.compile(
    r"dagster(_\w+)?\._|dagster_(dbt|gcp|postgres)\.\w+\.|dagster_shared|dbt\.(?!adapters\.duckdb\.plugins)"
)


def test_private_parts_of_dagster_and_dbt_are_used_in_one_room() -> None:
    deployed = [*(PROJECT_ROOT / "deploy").rglob("*.py")]
    for file in [*deployed, *(file for file in FILES if room_of(file) != "dagster_runtime")]:
        used = [module for module in imported(file) if PRIVATE.match(module)]
        assert not used, f"{file}: {used} belongs behind dagster_runtime (docs/dagster-runtime.md)"


def test_benchmarks_and_what_is_shared_with_tests_import_no_test() -> None:
    for file in [*(PROJECT_ROOT / "benchmarks").glob("*.py"), *(PACKAGE / "testing").glob("*.py")]:
        assert not [module for module in imported(file) if module.startswith("streaming_assets_tests")], file


def test_the_document_names_each_room() -> None:
    text = (PROJECT_ROOT / "docs" / "architecture.md").read_text()
    house = text[text.index("## The house") : text.index("## The lake's contract")]
    named = {re.sub(r"^streaming_assets/|\.py$|/$", "", name) for name in re.findall(r"`([\w/.]+)`", house)}
    assert {*FLOOR, "testing"} - {"__main__"} <= named
