"""Variants of the default configuration, as JSON objects."""

import copy
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
