"""The metrics and models that dbt's YAML describes: what the numbers of the pages mean."""

from functools import cache
from typing import Any

import yaml

from streaming_assets.settings import PROJECT_ROOT

MODELS = PROJECT_ROOT / "dbt_project" / "models"


@cache
def metrics() -> dict[str, dict[str, Any]]:
    """Each metric as its YAML has it, by name."""
    return said("metrics", "metrics")


@cache
def models() -> dict[str, dict[str, Any]]:
    """Each fact, dimension and mart as its YAML has it, by name."""
    return said("core", "models") | said("marts", "models")


def said(folder: str, kind: str) -> dict[str, dict[str, Any]]:
    """What the YAML files of a folder of models say of a kind, by name."""
    files = [yaml.safe_load(file.read_text()) for file in sorted((MODELS / folder).glob("*.yml"))]
    return {one["name"]: one for file in files for one in file.get(kind, [])}
