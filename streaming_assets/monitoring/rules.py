"""The rules: what counts as wrong and what is told of it, from rules.yml and the file that a setting names."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

DEFAULTS = Path(__file__).with_name("rules.yml")
Minutes = Annotated[float, Field(ge=0)]


class RulesError(ValueError):
    """The rules can't be used; the message names the file, the rule and what is wrong with it."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Rule(_Part):
    """What is told of one kind of condition; times in minutes, as rules.yml explains."""

    tell: bool
    after_minutes: Minutes


class WithinMinutes(Rule):
    """A kind with a time of its own."""

    minutes: Minutes


class Growth(WithinMinutes):
    """How long, and by how many records, a lag must have grown."""

    records: Annotated[int, Field(ge=0)]


class Room(Rule):
    """How much of the disk must be free, GiB."""

    free_gib: Annotated[float, Field(ge=0)]


class Rules(_Part):
    """A rule for each kind of condition, and after how many hours what lasts is told again."""

    remind_hours: Annotated[float, Field(gt=0)]
    run_failed: Rule
    check_failing: Rule
    hour_stale: Rule
    hour_missing: WithinMinutes
    lag_growing: Growth
    disk_nearly_full: Room
    forgetting_unfinished: Rule
    sensor_failing: Rule
    not_running: WithinMinutes
    snapshot_unreadable: Rule
    cannot_look: Rule

    def of(self, kind: str) -> Rule:
        """The rule of a kind of condition."""
        return getattr(self, kind)


def read_rules(own: Path | None = None) -> Rules:
    """The rules in force.

    Args:
        own: a file whose lines take the place of the defaults'.

    Raises:
        RulesError: it can't be read, or names what is no rule, or gives an impossible value.
    """
    rules = _document(DEFAULTS)
    for name, given in (_document(own) if own else {}).items():
        known = rules.get(name)
        rules[name] = {**known, **given} if isinstance(known, dict) and isinstance(given, dict) else given
    try:
        return Rules.model_validate(rules)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RulesError(f"{own or DEFAULTS}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text()) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RulesError(f"{file} can't be read: {error}") from None
    if not isinstance(document, dict):
        raise RulesError(f"{file}: it must have a line for each rule, as {DEFAULTS.name} has")
    return document
