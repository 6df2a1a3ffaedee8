"""Which faults are rehearsed, and the table of what came of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from streaming_assets.monitoring.rules import Rules
from streaming_assets_tests.rehearsal.faults import Fault
from streaming_assets_tests.soak.reckoning import SHOWN, Reckoning

BEGIN, END = "<!-- rehearsal -->\n", "<!-- end of rehearsal -->\n"  # around the table in docs/reliability.md


@dataclass(frozen=True)
class Rehearsed:
    """What came of a fault.

    Attributes:
        fault: that was put in.
        told: after how long its alert arrived, s; None where nobody is to be told.
        healed: how long after its cause was put right it was told healed, or seen so, s.
        typed: the commands, in their order.
        problem: what was not as it should be, in words.
    """

    fault: Fault
    told: float | None = None
    healed: float | None = None
    typed: tuple[str, ...] = ()
    problem: str = ""


def chosen(names: str, faults: Sequence[Fault]) -> list[Fault]:
    """The faults of these names, commas between them, in the order of `faults`; all of them where none is named.

    Raises:
        ValueError: one is not known.
    """
    wanted = {name.strip() for name in names.split(",")} - {""}
    known = [fault.name for fault in faults]
    if unknown := sorted(wanted - {*known}):
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are: {', '.join(known)}")
    return [fault for fault in faults if not wanted or fault.name in wanted]


def table(done: Iterable[Rehearsed], reckoning: Reckoning, rules: Rules, day: date, took: timedelta) -> str:
    """In Markdown: a line for each fault, and how tables and record compare.

    Args:
        done: what came of the faults.
        reckoning: of the tables with the record, at the end.
        rules: those of service, for what they wait before they tell.
        day: of the rehearsal.
        took: how long.
    """
    differences = reckoning.differences
    lines = [
        f"`make rehearsal` of {day}, {took} on two cores: {reckoning.acknowledged:,} events, "
        f"{reckoning.rows.get('fact_listen_events', 0):,} listens, {reckoning.rows.get('stg_quarantine', 0):,} rows in "
        f"quarantine; differences between tables and record: {len(differences) or 'none'}.",
        "",
        "| fault | what is done | alert | told after, s | in service the rule waits, min | typed | healed after, s |",
        "|---|---|---|---|---|---|---|",
        *(_line(one, rules) for one in done),
        *(f"\n    {difference}" for difference in differences[:SHOWN]),
    ]
    return "\n".join(lines) + "\n"


def _line(one: Rehearsed, rules: Rules) -> str:
    fault = one.fault
    cells = [
        fault.name,
        fault.how,
        f"`{fault.entry}`, {fault.subject.partition(': ')[0]}" if fault.kind else "none: it heals by itself",
        _seconds(one.told),
        f"{rules.of(fault.kind).after_minutes:g}" if fault.kind else "",
        ", ".join(f"`{command}`" for command in one.typed) or "nothing",
        one.problem.replace("|", "/") or _seconds(one.healed),
    ]
    return f"| {' | '.join(cells)} |"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}"


def with_table(page: str, text: str) -> str:
    """A page with this table in place of the one that it has."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}"
