"""The fields of an event, as contracts name them: a dot leads into a nested object. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]

_NAMEABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fields_of(event: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each field that is no object, with its path; what is null is not there, and an empty object has none."""
    for key, value in event.items():
        if isinstance(value, dict):
            yield from fields_of(value, (*above, key))
        elif value is not None:
            yield (*above, key), value


def name_of(path: Path) -> str:
    """The path as a contract writes it."""
    return ".".join(path)


def is_nameable(path: Path) -> bool:
    """Whether a contract can name the field, on both warehouses."""
    return all(_NAMEABLE.fullmatch(key) for key in path)
