"""What is wrong, told from what was seen: each kind appears by its threshold, and nothing unseen passes for well."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.dagster_runtime.standing import LastTick
from streaming_assets.monitoring.command import CANNOT_LOOK, WELL, WRONG, exit_status
from streaming_assets.monitoring.conditions import GIB, Condition, conditions, named
from streaming_assets.monitoring.observed import (
    Backlog,
    Check,
    Disk,
    Facts,
    FailedRun,
    Observed,
    Service,
    Snapshot,
)
from streaming_assets.monitoring.rules import DEFAULTS, Rules, RulesError, read_rules
from streaming_assets.monitoring.runbook import ENTRIES, entry_of
from streaming_assets.settings import Settings

NOW = datetime(2025, 3, 8, 12, 20, tzinfo=UTC)
NEWEST = datetime(2025, 3, 8, 11, tzinfo=UTC)
RULES = read_rules()
WELL_SEEN = Observed(
    at=NOW,
    services=(Service("daemon", True, ""), Service("sink", True, "")),
    sensors=(LastTick("lake_objects", True, NOW, False),),
    queued=0,
    running=1,
    failed=(),
    checks=(),
    backlogs=(Backlog("listen_events", ((NOW, 5),)),),
    facts=Facts(NEWEST, NOW, 12.0),
    snapshot=Snapshot(7, NOW, NOW),
    newest_object=NEWEST,
    unforgotten=0,
    disk=Disk(50 * GIB, 100 * GIB),
)


def hours(*numbers: int) -> tuple[datetime, ...]:
    return tuple(NEWEST - timedelta(hours=number) for number in sorted(numbers, reverse=True))


def lags(*records: int) -> tuple[tuple[datetime, int], ...]:
    """Lags seen each minute, the last of them now."""
    return tuple((NOW - timedelta(minutes=back), lag) for back, lag in enumerate(reversed(records)))


def found(**seen: Any) -> list[Condition]:
    return conditions(replace(WELL_SEEN, **seen), RULES, Settings())


def test_nothing_is_wrong_where_all_was_seen_to_be_well() -> None:
    assert found() == []
    assert exit_status([]) == WELL


WRONG_SEEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "failed hours, folded over runs": (
        {
            "failed": (
                FailedRun("b", "hourly", hours(1), "an error in a step"),
                FailedRun("a", "hourly", hours(2, 5), ""),
            )
        },
        "run_failed hourly",
        "hourly: the last run of 3 hours, 2025-03-08T06:00Z, 2025-03-08T09:00Z to 2025-03-08T11:00Z failed"
        " (an error in a step)",
    ),
    "a failed run without hours": (
        {"failed": (FailedRun("b", "reference", (), ""),)},
        "run_failed reference",
        "reference: the last run failed",
    ),
    "a failing check": (
        {"checks": (Check("staging/stg_users", "no_nulls", hours(3), True, NOW),)},
        "check_failing staging/stg_users: no_nulls",
        "staging/stg_users: no_nulls fails in 1 hour: 2025-03-08T08:00Z",
    ),
    "old facts": (
        {"facts": Facts(NEWEST, NOW - timedelta(minutes=91), None)},
        "hour_stale core/fact_listen_events",
        "The facts are 91 min behind, more than 90: they end at 2025-03-08T10:49Z",
    ),
    "no facts": (
        {"facts": Facts(None, None, None)},
        "hour_stale core/fact_listen_events",
        "No hour is in the facts yet",
    ),
    "an hour that nobody took in, beside one whose run failed": (
        {"facts": Facts(NEWEST, NOW, None, hours(4, 2)), "failed": (FailedRun("a", "hourly", hours(4), ""),)},
        "hour_missing core/fact_listen_events",
        "1 hour with objects in the lake, and not in the facts: 2025-03-08T09:00Z",
    ),
    "growing lag": (
        {"backlogs": (Backlog("user_info", lags(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10_001)),)},
        "lag_growing user_info",
        "user_info: 10,001 records wait for the sink, 10,000 more than 10 min before",
    ),
    "people half forgotten": (
        {"unforgotten": 2},
        "forgetting_unfinished forget",
        "2 people are asked to be forgotten, and the tables may still tell of them",
    ),
    "little room": (
        {"disk": Disk(5 * GIB - 1, 100 * GIB)},
        "disk_nearly_full disk",
        "5.0 GiB are free on the disk of the home folder, less than 5",
    ),
    "a sensor in error": (
        {"sensors": (LastTick("lake_objects", True, NOW, True),)},
        "sensor_failing lake_objects",
        "lake_objects: its last tick, at 2025-03-08 12:20 UTC, ended in an error",
    ),
    "a dead part": (
        {"services": (Service("daemon", True, ""), Service("sink", False, "it never ran"))},
        "not_running sink",
        "sink does not run: it never ran",
    ),
    "a dead system, told once": (
        {"services": (Service("daemon", False, "it never ran"), Service("sink", False, "it never ran"))},
        "not_running all",
        "Nothing runs here: daemon, it never ran",
    ),
    "a damaged snapshot": (
        {"snapshot": None, "unseen": {"snapshot": "SnapshotError: damaged"}},
        "snapshot_unreadable snapshot",
        "snapshot: SnapshotError: damaged",
    ),
}


@pytest.mark.parametrize("case", WRONG_SEEN.values(), ids=list(WRONG_SEEN))
def test_what_is_wrong_is_told_once_with_its_hours(case: tuple[dict[str, Any], str, str]) -> None:
    seen, key, what = case
    told = {condition.key: condition for condition in found(**seen)}
    assert told[key].what == what
    assert len([other for other in told if other.partition(" ")[0] == key.partition(" ")[0]]) == 1
    assert exit_status([*told.values()]) == WRONG
    assert entry_of(told[key]).commands


def test_each_kind_has_a_rule_an_entry_and_a_case_here() -> None:
    kinds = {*Rules.model_fields} - {"remind_hours"}
    assert kinds == {*ENTRIES, "check_failing"}
    assert kinds == {key.partition(" ")[0] for _, key, _ in WRONG_SEEN.values()} | {"cannot_look"}


def test_thresholds_are_not_reached() -> None:
    late = NOW - timedelta(minutes=90)
    assert found(facts=Facts(NEWEST, late, None), disk=Disk(5 * GIB, 100 * GIB)) == []
    for seen in (
        lags(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10_000),  # too few
        lags(0, 1, 2, 3, 4, 5, 6, 7, 8, 3, 9, 99_999),  # fell meanwhile
        lags(0, 99_999),  # not known for long enough
    ):
        assert found(backlogs=(Backlog("user_info", seen),)) == []
    assert found(sensors=(LastTick("lake_objects", False, NOW, True),)) == []


def test_a_warning_alone_is_still_well_and_freshness_is_not_told_twice() -> None:
    warning = found(checks=(Check("staging/stg_quarantine", "share_in_quarantine", hours(1), False, NOW),))
    assert [condition.is_grave for condition in warning] == [False]
    assert exit_status(warning) == WELL
    assert found(checks=(Check("core/fact_listen_events", "freshness_check", (), True, NOW),)) == []


def test_what_could_not_be_looked_at_is_never_well() -> None:
    blind = found(unseen={"lake": "LakeError: can't list raw/"})
    assert [condition.kind for condition in blind] == ["cannot_look"]
    assert exit_status(blind) == CANNOT_LOOK
    nothing = Observed(at=NOW, unseen={"Dagster's runs and checks": "nothing was started"})
    assert exit_status(conditions(nothing, RULES, Settings())) == CANNOT_LOOK


def test_many_spans_of_hours_are_folded() -> None:
    assert named(hours(*range(0, 24, 3))).startswith("3 earlier spans, 2025-03-07T23:00Z, ")


def test_own_rules_take_the_place_of_the_defaults_line_by_line(tmp_path: Path) -> None:
    own = tmp_path / "rules.yml"
    own.write_text("disk_nearly_full: {free_gib: 1}\nremind_hours: 6\n")
    rules = read_rules(own)
    assert (rules.disk_nearly_full.free_gib, rules.remind_hours) == (1, 6)
    assert rules.disk_nearly_full.tell
    assert rules.lag_growing == RULES.lag_growing
    assert {*Rules.model_fields} == {line.split(":")[0] for line in _lines()}


def _lines() -> list[str]:
    return [line for line in DEFAULTS.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("disk_nearly_ful: {free_gib: 1}", "disk_nearly_ful: Extra"),
        ("disk_nearly_full: {free_gib: -1}", "disk_nearly_full.free_gib: Input should be greater"),
        ("lag_growing: never", "lag_growing: Input should be"),
        ("[1, 2", "can't be read"),
        ("- run_failed", "a line for each rule"),
    ],
    ids=["unknown rule", "negative", "no mapping", "no YAML", "a list"],
)
def test_bad_rules_are_named_with_their_file(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "rules.yml"
    own.write_text(text)
    with pytest.raises(RulesError, match=f"{own}.*{said}"):
        read_rules(own)
    with pytest.raises(RulesError, match="can't be read"):
        read_rules(tmp_path / "none.yml")


def test_every_part_that_was_not_seen_is_none_or_empty() -> None:
    blank = Observed(at=NOW)
    assert not any(getattr(blank, field.name) for field in fields(Observed) if field.name != "at")
