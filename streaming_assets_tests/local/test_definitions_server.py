"""Which code locations are loaded again: those whose process is gone, and no others."""

from typing import Any

import pytest

from streaming_assets.local.definitions_server import unreachable

GONE = "dagster._core.errors.DagsterUserCodeUnreachableError: Could not reach user code server."
BROKEN = "ImportError: cannot import name 'no_such_name'"


def answer(loaded: str, found: dict[str, Any] | None) -> dict[str, Any]:
    entry = {"name": "streaming_assets", "loadStatus": loaded, "locationOrLoadError": found}
    return {"data": {"workspaceOrError": {"locationEntries": [entry]}}}


@pytest.mark.parametrize(
    ("told", "gone"),
    [
        (answer("LOADED", {"__typename": "PythonError", "message": GONE}), {"streaming_assets"}),
        (answer("LOADED", {"__typename": "PythonError", "message": BROKEN}), set()),
        (answer("LOADED", {"__typename": "RepositoryLocation"}), set()),
        (answer("LOADING", {"__typename": "PythonError", "message": GONE}), set()),
        (answer("LOADING", None), set()),
        ({"data": None, "errors": [{"message": "busy"}]}, set()),
        ({"data": {"workspaceOrError": {"__typename": "PythonError"}}}, set()),
    ],
)
def test_those_whose_process_is_gone(told: dict[str, Any], gone: set[str]) -> None:
    assert unreachable(told) == gone
