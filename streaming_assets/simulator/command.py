"""`streaming-assets simulate`: options, checked and handed on. Imports what is heavy only when it runs."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streaming_assets.simulator.delivery import Target
    from streaming_assets.simulator.run import Span
    from streaming_assets.simulator.simulation import Plan

Destination = Literal["kafka", "files", "lake"]

_TIME = "ISO time, UTC; or `now`, or `15d`, `6h`, `30m` ago"


def simulate(
    to: Annotated[
        Destination | None, typer.Option(help="Where the events go; must be given unless --explain is.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="EVENTSIM_CONFIG_FILE",
            help="Configuration in eventsim's JSON format; the bundled one if not given.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="EVENTSIM_NUM_USERS",
            help="Users at the start; default: the configuration's, else 1.",
        ),
    ] = None,
    growth_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            envvar="EVENTSIM_GROWTH_RATE",
            help="Users who join a year, per user: 1 makes e times as many; default: the configuration's, else 0.",
        ),
    ] = None,
    attrition_rate: Annotated[
        float,
        typer.Option(min=0.0, help="Users who leave for good, a year, per user, besides cancellations."),
    ] = 0.0,
    start: Annotated[
        str | None,
        typer.Option(
            envvar="EVENTSIM_START_TIME",
            help=f"Start: {_TIME}; default: the configuration's, else 15d (now if --continuous).",
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            envvar="EVENTSIM_END_TIME",
            help=f"End, exclusive: {_TIME}; default: the configuration's, else 1d (never if --continuous).",
        ),
    ] = None,
    resume_from: Annotated[
        str | None,
        typer.Option(
            help=f"Deliver only the events from here on, of the same simulation: {_TIME}. For a run that was stopped."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            envvar="EVENTSIM_RANDOM_SEED",
            help="Seed: the same gives the same events; default: the configuration's, else 0.",
        ),
    ] = None,
    continuous: Annotated[
        bool,
        typer.Option(
            "--continuous", help="Deliver each event when its time has come; the past at full speed."
        ),
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            help="Folder of the files, default output; or the lake to write to, default the settings'."
        ),
    ] = None,
    all_topics: Annotated[
        bool, typer.Option("--all-topics", help="Also the topics that are simulated on request.")
    ] = False,
    topics: Annotated[
        str | None, typer.Option(help="Just these topics, separated by commas, instead of the default ones.")
    ] = None,
    save_daily: Annotated[
        bool, typer.Option("--save-daily", help="A file a day, TOPIC_YYYY-MM-DD.json (with --to files).")
    ] = False,
    first_user_id: Annotated[
        int | None,
        typer.Option(min=0, help="The first user's id is one more; default: the configuration's, else 1."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            help="Label that each event with a user carries; default: the configuration's, else none."
        ),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes that simulate, each a share of the users; the events are the same. Pays on a large site.",
        ),
    ] = 1,
    kafka_brokers: Annotated[
        str | None,
        typer.Option(help="Kafka brokers, host:port[,...], instead of the settings' (with --to kafka)."),
    ] = None,
    songs: Annotated[
        Path | None, typer.Option(help="Songs: eventsim's listen_counts, TSV.", exists=True, dir_okay=False)
    ] = None,
    similar_songs: Annotated[
        Path | None,
        typer.Option(help="Similar songs: track,similar; CSV; default: none.", exists=True, dir_okay=False),
    ] = None,
    places: Annotated[
        Path | None, typer.Option(help="Postal codes: GeoNames TSV.", exists=True, dir_okay=False)
    ] = None,
    population: Annotated[
        Path | None, typer.Option(help="People by ZIP code area: gazetteer TSV.", exists=True, dir_okay=False)
    ] = None,
    first_names: Annotated[
        Path | None, typer.Option(help="First names: name,sex,count.", exists=True, dir_okay=False)
    ] = None,
    surnames: Annotated[
        Path | None, typer.Option(help="Surnames: name,rank,count; CSV.", exists=True, dir_okay=False)
    ] = None,
    user_agents: Annotated[
        Path | None,
        typer.Option(help="User agents: percent, weight, agent; TSV.", exists=True, dir_okay=False),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Print what the configuration leads to, solved exactly; simulate nothing."
        ),
    ] = False,
) -> None:
    """Simulate the site's users and write their events, as eventsim does."""
    from streaming_assets.events import DEFAULT_TOPICS, SIMULATED_TOPICS
    from streaming_assets.simulator.choices import ChoiceError, Choices, chosen_topics
    from streaming_assets.simulator.config import DEFAULT_CONFIG, ConfigError, read_config
    from streaming_assets.simulator.delivery import Target
    from streaming_assets.simulator.validation import check

    files = {
        "songs": songs,
        "similar_songs": similar_songs,
        "places": places,
        "population": population,
        "first_names": first_names,
        "surnames": surnames,
        "user_agents": user_agents,
    }
    choices = Choices(
        users=users,
        growth_rate=growth_rate,
        attrition_rate=attrition_rate,
        start=start,
        end=end,
        resume_from=resume_from,
        seed=seed,
        first_user_id=first_user_id,
        tag=tag,
        continuous=continuous,
        files={name: path for name, path in files.items() if path},
    )
    by_default = SIMULATED_TOPICS if all_topics else DEFAULT_TOPICS
    try:
        configured = read_config(config or DEFAULT_CONFIG)
        warnings = check(configured)
        plan, span = choices.plan_and_span(configured, datetime.now(UTC))
        wanted = by_default if topics is None else chosen_topics(topics, SIMULATED_TOPICS)
    except (ConfigError, ChoiceError) as error:
        _fail(str(error))
    if explain:
        _explain(plan, warnings)
        return
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if to is None:
        _fail("--to must say where the events go: kafka, files or lake")
    _deliver(plan, span, wanted, Target(to, output, save_daily, kafka_brokers), processes)


def _explain(plan: "Plan", warnings: "Sequence[str]") -> None:
    from rich.console import Console

    from streaming_assets.simulator.explain import explain

    explain(plan, warnings, Console(width=None if sys.stdout.isatty() else 120))


def _deliver(plan: "Plan", span: "Span", topics: tuple[str, ...], target: "Target", processes: int) -> None:
    from streaming_assets.simulator.catalogue import CatalogueError
    from streaming_assets.simulator.delivery import deliver
    from streaming_assets.simulator.processes import ProcessDied
    from streaming_assets.simulator.writers import WriteError

    try:
        deliver(plan, span, topics, target, processes)
    except CatalogueError as error:
        _fail(str(error))
    except (WriteError, ProcessDied, OverflowError) as error:
        print(f"simulate: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _fail(message: str) -> NoReturn:
    print(f"simulate: {message}", file=sys.stderr)
    raise typer.Exit(2)
