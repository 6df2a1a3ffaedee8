"""Variants of the default configuration, as JSON objects."""

import copy
import json
from pathlib import Path
from typing import Any

from streaming_assets.simulator.config import Config, parse_config
from streaming_assets.simulator.making.site import as_text


def write_config(document: dict[str, Any], path: Path) -> Path:
    """The configuration as a file."""
    path.write_text(as_text(document), encoding="utf-8")
    return path


def as_config(document: dict[str, Any]) -> Config:
    """The configuration as it is read from a file."""
    return parse_config(Path("test-config.json"), as_text(document))


def with_dead_advertisement(document: dict[str, Any]) -> dict[str, Any]:
    """As the original's: the ways out of an advertisement belong to a method that none has."""
    changed = copy.deepcopy(document)
    for transition in changed["transitions"]:
        if transition["source"]["page"] == "PlayAd":
            transition["source"]["method"] = "PUT"
            if transition["dest"]["page"] == "NextSong":
                transition["dest"]["method"] = "GET"
    return changed


def without_advertisements(document: dict[str, Any]) -> dict[str, Any]:
    """As the original's example without advertisements."""
    changed = copy.deepcopy(document)
    changed["transitions"] = [
        transition
        for transition in changed["transitions"]
        if "PlayAd" not in (transition["source"]["page"], transition["dest"]["page"])
    ]
    return changed


def busier(document: dict[str, Any]) -> dict[str, Any]:
    """As the original's alternative example: other rhythm, more upgrades."""
    changed = without_advertisements(document)
    changed |= {"alpha": 85.0, "beta": 518_400.0, "damping": 0.09425, "weekend-damping": 0.53}
    for transition in changed["transitions"]:
        if transition["dest"]["page"] == "Submit Upgrade":
            transition["p"] = 0.35
    return changed


def with_outage(document: dict[str, Any]) -> dict[str, Any]:
    """As the original's outage: nearly every page leads to an error that nothing leads out of."""
    changed = without_advertisements(document)
    for entry in changed["new-session"]:
        if entry["page"] == "Error":
            entry |= {"status": 408, "weight": 50 if entry["auth"] == "Guest" else 2500}
    by_source: dict[str, list[dict[str, Any]]] = {}
    for transition in changed["transitions"]:
        by_source.setdefault(json.dumps(transition["source"]), []).append(transition)
    for rows in by_source.values():
        to_error = 0.4 if rows[0]["source"]["page"] == "Error" else 0.9
        for transition in rows:
            if transition["dest"]["page"] == "Error":
                transition["dest"]["status"], transition["p"] = 408, to_error
            else:
                transition["p"] = 0.1 / len(rows)
    return changed
