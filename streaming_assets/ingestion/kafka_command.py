"""`streaming-assets topics`, `connect ...` and `kafka ...`: arguments and output only."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streaming_assets.home import check_home
from streaming_assets.ingestion.kafka_files import Environment, KafkaSetupError
from streaming_assets.settings import Settings, env_name, get_settings

if TYPE_CHECKING:
    from streaming_assets.ingestion.connect_rest import ConnectRest
    from streaming_assets.ingestion.kafka_local.stack import ServiceState

EnvironmentOption = Annotated[
    Environment | None,
    typer.Option(help="Environment of the files in kafka/; default: gcp for target gcp, else local"),
]
UrlOption = Annotated[
    str,
    typer.Option(help=f"REST address of Connect, http://host:port; default: {env_name('kafka_connect_url')}"),
]

connect_app = typer.Typer(help="Kafka Connect's settings: render, validate, apply.", no_args_is_help=True)
kafka_app = typer.Typer(
    help="Kafka, Kafka Connect and a GCS emulator on this machine, without Docker.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("topics")(topics)
    app.add_typer(connect_app, name="connect")
    app.add_typer(kafka_app, name="kafka")


def topics(
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the changes; without it they are only shown")
    ] = False,
    environment: EnvironmentOption = None,
) -> None:
    """Show how the cluster's topics differ from kafka/topics.yaml, and with --apply make them the same."""
    from streaming_assets.ingestion import topics as core
    from streaming_assets.ingestion.clients import client_config

    settings = get_settings()
    if not settings.kafka.bootstrap_servers:
        raise KafkaSetupError(
            f"no cluster is named: set {env_name('kafka_bootstrap_servers')}, or start one with "
            "`streaming-assets kafka up` (the embedded broker makes its topics by itself)"
        )
    client = core.connect(client_config(settings))
    wanted = core.wanted_topics(environment or _environment(settings), settings)
    changes = core.differences(wanted, *core.cluster_topics(client))
    if not changes:
        typer.echo(f"{len(wanted)} topics, all as wanted")
        return
    if apply:
        changes = core.apply(client, changes)
    _print(
        ("topic", "what", "now", "wanted", "done" if apply else "can be done"),
        [
            (c.topic.name, c.what, c.now, c.wanted, f"no: {c.refusal}" if c.refusal else "yes")
            for c in changes
        ],
    )
    if any(change.refusal for change in changes):
        raise typer.Exit(1)


@connect_app.command()
def render(environment: EnvironmentOption = None) -> None:
    """Print the connectors' settings as JSON: {name: {setting: value}}."""
    typer.echo(json.dumps(_connectors(environment), indent=2))


@connect_app.command()
def worker() -> None:
    """Print the worker's properties file, with the cluster's security settings; secrets are references."""
    from streaming_assets.ingestion.connect import worker_properties, worker_security

    typer.echo(worker_properties(worker_security(get_settings())))


@connect_app.command()
def validate(environment: EnvironmentOption = None, url: UrlOption = "") -> None:
    """Ask Connect and its plugin whether they would take the connectors; exit code 1 if not."""
    rest = _rest(url)
    problems = [
        (name, problem)
        for name, config in _connectors(environment).items()
        for problem in rest.problems(config)
    ]
    if problems:
        _print(("connector", "problem"), problems)
        raise typer.Exit(1)
    typer.echo("Connect has nothing against the connectors")


@connect_app.command()
def apply(environment: EnvironmentOption = None, url: UrlOption = "") -> None:
    """Show how Connect's connectors differ from the rendered ones, and make them the same."""
    from streaming_assets.ingestion.connect_rest import differences

    rest, wanted = _rest(url), _connectors(environment)
    rows = [
        (name, setting, now or "", value or "")
        for name, config in wanted.items()
        for setting, now, value in differences(rest.config(name), config)
    ]
    if not rows:
        typer.echo(f"{len(wanted)} connectors, all as wanted")
        return
    _print(("connector", "setting", "now", "wanted"), rows)
    typer.echo(f"applied: {', '.join(rest.apply(wanted))}")


@kafka_app.command()
def up(
    connect: Annotated[
        bool,
        typer.Option(help="Run Connect where its GCS sink is found; without, the Python sink carries on"),
    ] = True,
    broker_port: Annotated[
        int, typer.Option(help="Port of the broker; 0: the last run's, else a free one")
    ] = 0,
    connect_port: Annotated[int, typer.Option(help="Port of Connect's REST interface; 0 as above")] = 0,
    emulator_port: Annotated[int, typer.Option(help="Port of the GCS emulator; 0 as above")] = 0,
) -> None:
    """Start broker, GCS emulator and Connect, with topics and connectors; what runs already stays.

    What they need is fetched once into STREAMING_ASSETS_KAFKA_DOWNLOADS by Maven and Go. Data, ports and logs
    are kept in HOME/kafka between runs. A service that can't run here is left out, and the reason told.
    HOME/kafka/env then has the variables that point the other commands at them.
    """
    from streaming_assets.ingestion.kafka_local import services, setup
    from streaming_assets.ingestion.kafka_local.stack import Stack

    settings = get_settings()
    check_home(settings.home)
    stack = Stack(setup.place_of(settings), _say)
    names = [name for name in services.SERVICES if connect or name != services.WORKER]
    ports = {
        services.BROKER: broker_port,
        services.WORKER: connect_port,
        services.EMULATOR: emulator_port,
    }
    try:
        states = stack.up(names, ports)
        if stack.address(services.BROKER):
            setup.make_topics(stack, settings, _say)
        if stack.address(services.WORKER):
            setup.make_connectors(stack, settings, _say)
    finally:
        setup.write_environment(stack)
    _print_states(states)
    for name, value in setup.environment(stack).items():
        typer.echo(f"export {name}={value}")
    typer.echo(f"the same: set -a; . {setup.environment_file(stack.place)}; set +a")
    if not stack.address(services.BROKER):
        raise typer.Exit(1)


@kafka_app.command()
def down() -> None:
    """Stop what `kafka up` started, and nothing else; data stays."""
    from streaming_assets.ingestion.kafka_local import setup
    from streaming_assets.ingestion.kafka_local.stack import Stack

    stack = Stack(setup.place_of(get_settings()), _say)
    stopped = stack.down()
    setup.write_environment(stack)
    typer.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@kafka_app.command()
def status() -> None:
    """Show each service: state, address, process, log; exit code 1 if one died."""
    from streaming_assets.ingestion.kafka_local import setup
    from streaming_assets.ingestion.kafka_local.stack import Stack

    states = Stack(setup.place_of(get_settings()), _say).states()
    _print_states(states)
    if any(state.state == "died" for state in states):
        raise typer.Exit(1)


def _environment(settings: Settings) -> Environment:
    return "gcp" if settings.target == "gcp" else "local"


def _connectors(environment: Environment | None) -> dict[str, dict[str, str]]:
    from streaming_assets.ingestion.connect import connectors
    from streaming_assets.ingestion.kafka_local import setup
    from streaming_assets.ingestion.kafka_local.stack import Stack

    settings = get_settings()
    chosen = environment or _environment(settings)
    values = setup.connector_values(Stack(setup.place_of(settings))) if chosen == "local" else {}
    return connectors(chosen, settings, values)


def _rest(url: str) -> "ConnectRest":
    from streaming_assets.ingestion.connect_rest import ConnectRest

    address = url or get_settings().kafka.connect_url
    if not address:
        raise KafkaSetupError(
            f"Connect's address is unknown: give --url or set {env_name('kafka_connect_url')}"
        )
    return ConnectRest(address)


def _say(message: str) -> None:
    typer.echo(message, err=True)


def _print_states(states: Sequence["ServiceState"]) -> None:
    rows = [(s.name, s.state, s.address, str(s.pid or ""), s.why or str(s.log)) for s in states]
    _print(("service", "state", "address", "process", "log, or why it was left out"), rows)


def _print(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
