"""Faults are chosen by name, what is typed stands in the runbook, and the table takes the place of the former one."""

from datetime import date, timedelta

import pytest

from streaming_assets.monitoring.conditions import Condition
from streaming_assets.monitoring.rules import read_rules
from streaming_assets.monitoring.runbook import entry_of
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.rehearsal.faults import FAULTS, Fault
from streaming_assets_tests.rehearsal.report import BEGIN, END, Rehearsed, chosen, table, with_table
from streaming_assets_tests.rehearsal.typed import as_on_the_page, commands_of
from streaming_assets_tests.soak.reckoning import Reckoning

BY_NAME = {fault.name: fault for fault in FAULTS}


def test_faults_are_chosen_by_name_and_keep_their_order() -> None:
    assert chosen("", FAULTS) == FAULTS
    assert [fault.name for fault in chosen("bad object, drift,", FAULTS)] == ["drift", "bad object"]
    with pytest.raises(ValueError, match=r"no fault is called flood; there are: clock jump, drift"):
        chosen("drift, flood", FAULTS)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.kind], ids=lambda fault: fault.name)
def test_the_runbook_has_what_is_typed(fault: Fault) -> None:
    told = entry_of(Condition(fault.kind, fault.subject, ""))
    assert commands_of(fault.entry) == [*told.commands]
    assert not fault.task or commands_of(fault.task)


def test_an_alerts_hours_stand_for_start_and_end() -> None:
    typed = "streaming-assets backfill 2026-11-20T05:00Z 2026-11-20T06:00Z"
    assert as_on_the_page(typed) == "streaming-assets backfill START END"
    with pytest.raises(KeyError):
        commands_of("flood")


def test_the_table_has_a_line_for_each_fault_and_what_went_wrong() -> None:
    done = [
        Rehearsed(BY_NAME["late day"], healed=23.4),
        Rehearsed(
            BY_NAME["broker gone"], 124.7, 60.2, ("streaming-assets status", "streaming-assets reconcile")
        ),
        Rehearsed(BY_NAME["drift"], problem="was not told"),
    ]
    reckoning = Reckoning(
        25_509, 0, rows={"fact_listen_events": 11_187, "stg_quarantine": 3}, differences=["lake - 7"]
    )
    head, _, _, _, *lines = table(
        done, reckoning, read_rules(), date(2026, 11, 27), timedelta(minutes=24)
    ).splitlines()
    assert head == (
        "`make rehearsal` of 2026-11-27, 0:24:00 on two cores: 25,509 events, 11,187 listens, 3 rows in quarantine; "
        "differences between tables and record: 1."
    )
    late, gone, drift = lines[:3]
    assert (
        late
        == "| late day | 500 listens of five days ago arrive | none: it heals by itself |  |  | nothing | 23 |"
    )
    assert gone.endswith(
        "`sensor_failing`, kafka_health | 125 | 5 | `streaming-assets status`, `streaming-assets reconcile` | 60 |"
    )
    assert drift.endswith("`schema_follows_contract`, staging/schema_drift |  | 0 | nothing | was not told |")
    assert lines[-1] == "    lake - 7"


def test_a_new_table_takes_the_place_of_the_former() -> None:
    page = f"before\n{BEGIN}former\n{END}after\n"
    assert with_table(page, "new\n") == f"before\n{BEGIN}new\n{END}after\n"
    kept = (PROJECT_ROOT / "docs" / "reliability.md").read_text()
    assert BEGIN in kept
    assert END in kept
