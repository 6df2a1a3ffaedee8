"""What a dbt test is called as a check, and what it says: short enough to be read in the pages' lists.

dbt's own name of a test lists the model and all arguments. As a check it stands at its model, so neither is needed.
"""

from collections.abc import Callable, Mapping
from typing import Any

_Told = tuple[str, str]  # name and description


def _unique(column: str, _: Mapping[str, Any]) -> _Told:
    return f"{column}_is_unique", f"One row for each {column}."


def _unique_together(_: str, arguments: Mapping[str, Any]) -> _Told:
    columns = arguments["combination_of_columns"]
    return "rows_are_unique", f"One row for each {', '.join(columns)}."


def _never_null(_: str, arguments: Mapping[str, Any]) -> _Told:
    return "no_nulls", f"A value in each of {', '.join(arguments['columns'])}."


def _accepted_values(column: str, arguments: Mapping[str, Any]) -> _Told:
    return f"{column}_is_known", f"{column} is one of {', '.join(map(str, arguments['values']))}."


def _accepted_range(column: str, arguments: Mapping[str, Any]) -> _Told:
    or_equal = arguments.get("inclusive", True)
    bounds = (
        (arguments.get("min_value"), "at least" if or_equal else "more than"),
        (arguments.get("max_value"), "at most" if or_equal else "less than"),
    )
    words = " and ".join(f"{word} {bound}" for bound, word in bounds if bound is not None)
    return f"{column}_is_in_range", f"{column} is {words}."


def _relationships(column: str, arguments: Mapping[str, Any]) -> _Told:
    other = str(arguments["to"]).split("'")[1]  # ref('dim_songs')
    return f"{column}_is_in_{other}", f"Each {column} is one of {other}."


_KINDS: Mapping[str, Callable[[str, Mapping[str, Any]], _Told]] = {
    "unique": _unique,
    "unique_combination_of_columns": _unique_together,
    "never_null": _never_null,
    "accepted_values": _accepted_values,
    "accepted_range": _accepted_range,
    "relationships": _relationships,
}


def named_for_people(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the manifest whose generic tests have the names, and all tests the descriptions, of their checks.

    A description that stands in the project is kept.
    """
    nodes = {
        key: _named(node) if node["resource_type"] == "test" else node
        for key, node in manifest["nodes"].items()
    }
    return {**manifest, "nodes": nodes}


def _named(node: Mapping[str, Any]) -> Mapping[str, Any]:
    test = node.get("test_metadata") or {}
    name, description = node["name"], ""
    if told := _KINDS.get(test.get("name", "")):
        arguments = test["kwargs"]
        name, description = told(arguments.get("column_name") or "", arguments)
    described = {**node["meta"], "description": node["description"] or description}
    return {**node, "name": name, "meta": described}
