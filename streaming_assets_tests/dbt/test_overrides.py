"""Macros of dbt and its adapters that the project overrides: which, and what of dbt they were written for."""

import re
from hashlib import sha256
from pathlib import Path

import dbt.include

from streaming_assets.settings import PROJECT_ROOT

OURS = PROJECT_ROOT / "dbt_project" / "macros"
THEIRS = [Path(folder) for folder in dbt.include.__path__]
MACRO = re.compile(r"{%-? *(?:macro|test) +(?P<name>\w+)(?P<text>.*?){%-? *end(?:macro|test)", re.S)
# What stands in dbt's files, without blanks, hashed: when it changes, read it, mend the override, write it down anew.
# The last one is why there is an override: once it lets other strategies through, `replace` will do on BigQuery, too.
KNOWN = {
    "get_where_subquery": "b3fd58f4ce0c44e9",
    "default__get_where_subquery": "b33f86a9deb9f72f",
    "bq_generate_incremental_build_sql": "9bf82260c4144c5b",
    "dbt_bigquery_validate_get_incremental_strategy": "606638c33e748a1a",
}


def macros(folders: list[Path]) -> dict[str, tuple[Path, str]]:
    """Of each macro its file and its text from its arguments on."""
    return {
        found["name"]: (path, found["text"])
        for folder in folders
        for path in folder.rglob("*.sql")
        for found in MACRO.finditer(path.read_text())
        if "starter_project" not in path.parts
    }


def test_what_is_overridden_stands_in_one_file() -> None:
    ours, theirs = macros([OURS]), macros(THEIRS)
    overridden = {name: path.name for name, (path, _) in ours.items() if name in theirs}
    assert overridden == dict.fromkeys(
        ("get_where_subquery", "bq_generate_incremental_build_sql"), "overrides.sql"
    )
    arguments = r"\((.*?)\)"
    for name in overridden:
        told, asked = (re.findall(arguments, found[name][1], re.S)[0] for found in (ours, theirs))
        assert told.split() == asked.split(), f"{name} takes other arguments now"


def test_dbt_is_the_one_that_the_overrides_were_written_for() -> None:
    theirs = macros(THEIRS)
    found = {name: sha256("".join(theirs[name][1].split()).encode()).hexdigest()[:16] for name in KNOWN}
    assert found == KNOWN
