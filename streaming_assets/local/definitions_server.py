"""The process with Dagster's definitions, loaded again when it dies.

Dagster's own manager restarts the proxy before that process, not the process behind it: when it dies alone (memory), no
sensor would run any more until somebody clicks Reload.
"""

import json
import threading
import urllib.request
from collections.abc import Callable
from typing import Any

from streaming_assets.settings import Settings

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 120.0  # a reload loads the graph, which takes seconds, or a minute on a busy machine
_UNREACHABLE = "DagsterUserCodeUnreachableError"

_LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries {
  name loadStatus locationOrLoadError { __typename ... on PythonError { message } }
} } } }
"""
_RELOAD = (
    "mutation ($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
)


def keep_loaded(settings: Settings, stop: threading.Event, echo: Callable[[str], object]) -> None:
    """Until `stop`, reload definitions whose process is gone, as the button Reload does; `say` tells of it.

    Definitions that can't be loaded for a fault of their own are left alone: their page says why.
    """
    before: set[str] = set()
    while not stop.wait(LOOK_SECONDS):
        try:
            gone = unreachable(_ask(settings, _LOCATIONS))
            for name in gone & before:  # at the second sight: a starved one may just answer late
                echo(f"The process with the definitions of {name} is gone; they are loaded again")
                _ask(settings, _RELOAD, name=name)
            before = gone - before
        except (OSError, ValueError):  # the web server is not up yet, or not any more
            before = set()


def unreachable(answer: Any) -> set[str]:
    """The code locations of Dagster's answer whose process does not answer."""
    entries = ((answer.get("data") or {}).get("workspaceOrError") or {}).get("locationEntries") or []
    return {
        entry["name"]
        for entry in entries
        if entry["loadStatus"] == "LOADED"
        and _UNREACHABLE in ((entry["locationOrLoadError"] or {}).get("message") or "")
    }


def _ask(settings: Settings, query: str, **variables: str) -> Any:
    request = urllib.request.Request(
        f"http://{settings.web.bind_host}:{settings.dagster.port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
        return json.load(response)
