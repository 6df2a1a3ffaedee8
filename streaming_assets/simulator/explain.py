"""`streaming-assets simulate --explain`: what a configuration leads to, as tables."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from streaming_assets.simulator.chain import Chain, acceptance, sessions_a_week
from streaming_assets.simulator.machine import AD_PAGE, SONG_PAGE, Group
from streaming_assets.simulator.simulation import Plan

_MEAN_AD_VALUE = 0.0075  # dollars
_SPANS = (("a week", 7), ("30 days", 30), ("a year", 365.25))


def explain(plan: Plan, warnings: Sequence[str], console: Console) -> None:
    """Print the warnings, and expectations of sessions, pages, activity and growth."""
    chain = Chain(plan.config)
    first, later = chain.initial_mix(), chain.later_mix()
    console.print(f"[bold]{plan.config.path.name}[/bold]: {len(plan.config.transitions)} transitions")
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    console.print(_sessions(chain, first, later))
    console.print(_pages(chain, first, later))
    console.print(_activity(plan, chain, first))


def _sessions(chain: Chain, first: dict[Group, float], later: dict[Group, float]) -> Table:
    table = Table(title="One session, by the state that it begins in")
    columns = ("users at first", "sessions later", "events", "songs", "with a song", "one event")
    table.add_column("auth, level")
    for column in (*columns, "ads", "leaves for good"):
        table.add_column(column, justify="right")
    for group in chain.groups():
        session = chain.session(group)
        left = sum(
            p for end, p in session.ends.items() if chain.machine.nodes[chain.machine.ends[end]].is_last
        )
        table.add_row(
            ", ".join(group),
            f"{first.get(group, 0.0):.1%}",
            f"{later[group]:.1%}",
            f"{session.events:.3f}",
            f"{session.pages.get(SONG_PAGE, 0.0):.3f}",
            f"{session.touches.get(SONG_PAGE, 0.0):.1%}",
            f"{session.one_event:.1%}",
            f"{session.pages.get(AD_PAGE, 0.0):.4f}",
            f"{left:.4%}",
        )
    return table


def _pages(chain: Chain, first: dict[Group, float], later: dict[Group, float]) -> Table:
    table = Table(title="Shares of page views")
    table.add_column("page")
    table.add_column("first sessions", justify="right")
    table.add_column("later sessions", justify="right")
    shares = [page_shares(chain, mix) for mix in (first, later)]
    for page in sorted(shares[0], key=lambda page: -shares[0][page]):
        table.add_row(page, *(f"{share[page]:.3%}" for share in shares))
    return table


def _activity(plan: Plan, chain: Chain, first: dict[Group, float]) -> Table:
    weekly = sessions_a_week(plan.config)
    events = chain.mean(first, lambda session: session.events)
    ads = chain.mean(first, lambda session: session.pages.get(AD_PAGE, 0.0))
    table = Table("", "", title="Activity and growth", show_header=False)
    table.add_row("planned sessions that happen", f"{acceptance(plan.config):.1%}")
    table.add_row("sessions a user a week, about", f"{weekly:.3f}")
    table.add_row("events a session, at first", f"{events:.3f}")
    table.add_row("page views a day, at first, about", f"{plan.users * weekly * events / 7:,.0f}")
    table.add_row(
        "ad revenue a day, at first, about", f"${plan.users * weekly * ads / 7 * _MEAN_AD_VALUE:,.2f}"
    )
    table.add_row("users at the start", f"{plan.users:,}")
    for name, days in _SPANS:
        users = plan.users * math.exp(plan.growth * days / 365.25)
        table.add_row(f"users who have joined after {name}", f"{users:,.0f}")
    return table


def page_shares(chain: Chain, mix: dict[Group, float]) -> dict[str, float]:
    """Each page's share of the events of sessions that begin by `mix`."""
    pages: dict[str, float] = {}
    for group in chain.groups():
        for page, count in chain.session(group).pages.items():
            pages[page] = pages.get(page, 0.0) + mix.get(group, 0.0) * count
    total = sum(pages.values())
    return {page: count / total for page, count in pages.items()}
