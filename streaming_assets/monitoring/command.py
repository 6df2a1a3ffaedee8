"""`streaming-assets status`, for people and scripts, `metrics` and `alerts test`."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streaming_assets.monitoring.conditions import Condition
    from streaming_assets.monitoring.observed import Observed

WELL, WRONG, CANNOT_LOOK = 0, 1, 2


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("status")(status_command)
    app.command("metrics")(metrics_command)
    alerts = typer.Typer(help="Messages to people about what is wrong.", no_args_is_help=True)
    alerts.command("test")(test_command)
    app.add_typer(alerts, name="alerts")


def status_command(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of tables")
    ] = False,
) -> None:
    """Say how the system is: what runs, how far behind it is, what is wrong and what to type. It changes nothing.

    Exit status: 0 all is well, but for warnings at most; 1 something is wrong; 2 nothing wrong was seen, but not all
    could be looked at.
    """
    from streaming_assets.monitoring.conditions import conditions
    from streaming_assets.monitoring.observing import instance_of, observe
    from streaming_assets.monitoring.rules import RulesError, read_rules
    from streaming_assets.settings import get_settings

    settings = get_settings()
    try:
        rules = read_rules(settings.monitoring.alert_rules)
    except RulesError as error:
        print(f"status: {error}", file=sys.stderr)
        raise typer.Exit(CANNOT_LOOK) from None
    with instance_of(settings) as instance:
        seen = observe(settings, rules, instance, deep=True)
    found = conditions(seen, rules, settings)
    status = exit_status(found)
    if as_json:
        document = {
            "status": ("well", "wrong", "cannot look")[status],
            "conditions": _told(found),
            **asdict(seen),
            "rows": {f"{topic} {what}": number for (topic, what), number in (seen.rows or {}).items()},
        }
        print(json.dumps(document, indent=2, default=_plain))
    else:
        _show(seen, found, status)
    raise typer.Exit(status)


def metrics_command(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: the setting BIND_HOST (127.0.0.1)")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; default: the setting METRICS_PORT (9464)")
    ] = None,
) -> None:
    """Serve what `status` looks at as OpenMetrics, for Prometheus to scrape at /metrics; Ctrl-C ends it."""
    from waitress.server import create_server

    from streaming_assets.monitoring.conditions import conditions
    from streaming_assets.monitoring.metrics import metrics_app
    from streaming_assets.monitoring.observing import instance_of, observe
    from streaming_assets.monitoring.rules import RulesError, read_rules
    from streaming_assets.settings import get_settings

    settings = get_settings()

    def look() -> "tuple[Observed, list[Condition]]":
        with instance_of(settings) as instance:  # anew, as it may come to be only later
            seen = observe(settings, rules, instance, deep=True)
        return seen, conditions(seen, rules, settings)

    host, port = host or settings.web.bind_host, port or settings.monitoring.metrics_port
    try:
        rules = read_rules(settings.monitoring.alert_rules)
        server = create_server(
            metrics_app(look, settings.host_names), host=host, port=port, threads=2, ident=None
        )
    except (OSError, RulesError) as error:
        print(f"metrics: {host}:{port}: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"metrics: http://{host}:{port}/metrics", flush=True)
    server.run()


def test_command() -> None:
    """Send a sample to each address of STREAMING_ASSETS_ALERT_ADDRESSES and say what came back.

    Exit status: 0 all were sent; 1 one was not; 2 there is no address, or one that is none.
    """
    from streaming_assets.monitoring.rules import RulesError, read_rules
    from streaming_assets.monitoring.sending import SAMPLE, AddressError, addresses_of
    from streaming_assets.settings import env_name, get_settings

    settings = get_settings()
    try:
        read_rules(settings.monitoring.alert_rules)
        addresses = addresses_of(settings.monitoring.alert_addresses.get_secret_value())
    except (AddressError, RulesError) as error:
        print(f"alerts: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    if not addresses:
        print(f"alerts: {env_name('alert_addresses')} has no address", file=sys.stderr)
        raise typer.Exit(2)
    answers = [(address.name, address.send(*SAMPLE)) for address in addresses]
    for name, why in answers:
        print(f"alerts: {name}: {f'not sent: {why}' if why else 'sent'}")
    raise typer.Exit(any(why for _, why in answers))


def exit_status(found: "list[Condition]") -> int:
    """What a script is told of these conditions."""
    grave = {condition.kind for condition in found if condition.is_grave}
    if grave - {"cannot_look"}:
        return WRONG
    return CANNOT_LOOK if grave else WELL


def _told(found: "list[Condition]") -> list[dict[str, Any]]:
    from streaming_assets.monitoring.runbook import entry_of

    return [asdict(condition) | asdict(entry_of(condition)) for condition in found]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _show(seen: "Observed", found: "list[Condition]", status: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from streaming_assets.monitoring.runbook import entry_of
    from streaming_assets.text import counted

    console = Console(width=None if sys.stdout.isatty() else 200, soft_wrap=True)
    table = Table("what", "state", box=None, pad_edge=False)
    for what, state in _rows(seen):
        table.add_row(what, escape(state))
    console.print(table)
    warnings = sum(not condition.is_grave for condition in found)
    console.print()
    for condition in found:
        entry = entry_of(condition)
        console.print(
            f"{'wrong' if condition.is_grave else 'warning'}: {escape(condition.what)}", highlight=False
        )
        console.print(f"    {escape(entry.meaning)} {escape(entry.look)}", highlight=False)
        for command in entry.commands:
            console.print(f"    $ {escape(command)}", highlight=False)
    summary = {
        WELL: "All is well" + (f", with {counted(warnings, 'warning')}" if warnings else ""),
        WRONG: f"Wrong: {len(found) - warnings}, warnings: {warnings}",
        CANNOT_LOOK: "Nothing wrong was seen, but not all could be looked at",
    }
    console.print(f"{summary[status]}. {seen.at:%Y-%m-%d %H:%M:%S} UTC")


def _rows(seen: "Observed") -> list[tuple[str, str]]:
    def moment(at: datetime | None, none: str) -> str:
        return f"{at:%Y-%m-%d %H:%M} UTC" if at else none

    rows = [(s.name, ("runs" if s.runs else "does not run") + f"; {s.detail}") for s in seen.services or ()]
    if seen.queued is not None:
        rows.append(("runs", f"{seen.running} under way, {seen.queued} in the queue"))
    if seen.failed is not None:
        rows.append(("failed hours", f"{len(seen.failed_hours):,}"))
    if seen.checks is not None:
        rows.append(("failing checks", f"{len(seen.checks):,}"))
    if seen.sensors is not None:
        off = [sensor.name for sensor in seen.sensors if not sensor.is_on]
        rows.append(("sensors switched off", ", ".join(off) or "none"))
    if "lake" not in seen.unseen:
        rows.append(("newest object's hour", moment(seen.newest_object, "none in the look-back window")))
    if seen.facts:
        rows.append(("newest whole hour in facts", moment(seen.facts.newest_whole_hour, "none")))
        if seen.facts.behind_seconds is not None:
            rows.append(
                ("event to fact", f"{seen.facts.behind_seconds:,.0f} s, when the newest hour was last run")
            )
    for backlog in seen.backlogs or ():
        at, lag = backlog.seen[0]
        rows.append((f"sink's lag, {backlog.topic}", f"{lag:,} records, as of {moment(at, '')}"))
    if seen.snapshot:
        told = f"number {seen.snapshot.number:,}, published {moment(seen.snapshot.published_at, '')}"
        rows.append(("published snapshot", told))
    elif "snapshot" not in seen.unseen:
        rows.append(("published snapshot", "nothing was published yet"))
    if seen.disk:
        rows.append(("disk", f"{_size(seen.disk.free)} free of {_size(seen.disk.total)}"))
    rows += [(f"size of {name}", _size(size)) for name, size in seen.sizes.items()]
    if seen.rows:
        topics = sorted({topic for topic, _ in seen.rows})
        for topic in topics:
            told = ", ".join(f"{number:,} {what}" for (of, what), number in seen.rows.items() if of == topic)
            rows.append((f"rows of that hour, {topic}", told.replace("_", " ")))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in seen.versions.items())))
    return rows


def _size(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
