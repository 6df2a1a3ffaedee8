"""The data in kafka/: environments, and YAML files whose `%{name}` are filled in. Nothing of clusters."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from streaming_assets.settings import PROJECT_ROOT

KAFKA_DIR = PROJECT_ROOT / "kafka"

Environment = Literal["local", "docker", "docker3", "gcp"]

_PLACEHOLDER = re.compile(r"%\{(\w+)\}")


class KafkaSetupError(RuntimeError):
    """Kafka or Connect is not as it should be, or can't be made so; the message says what and the way out."""


def read_yaml(name: str) -> Any:
    """A YAML file of kafka/."""
    return yaml.safe_load((KAFKA_DIR / name).read_text())


def filled(node: Any, values: Mapping[str, str]) -> Any:
    """`node` with each `%{name}` in its strings, keys too, replaced by the value of that name.

    Raises:
        KafkaSetupError: a name has no value.
    """
    if isinstance(node, dict):
        return {filled(key, values): filled(value, values) for key, value in node.items()}
    if isinstance(node, str):
        return _PLACEHOLDER.sub(lambda match: _value(match[1], values), node)
    return node


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise KafkaSetupError(f"%{{{name}}} has no value here; there are {', '.join(sorted(values))}")
    return values[name]
