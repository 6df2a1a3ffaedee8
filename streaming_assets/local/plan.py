"""What `make dev` starts: commands and addresses, from the settings. Pure."""

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from streaming_assets.settings import Settings


@dataclass(frozen=True)
class Service:
    """A process of the local system.

    Attributes:
        name: as its lines of output are marked.
        command: its arguments.
        port: the port on which it will answer; None if it listens on none.
        path: what to ask for there, once it answers.
    """

    name: str
    command: tuple[str, ...]
    port: int | None = None
    path: str = "/"


def program(*arguments: str) -> tuple[str, ...]:
    """A command of the same environment as this process."""
    return (str(Path(sys.executable).with_name(arguments[0])), *arguments[1:])


def simulation(settings: Settings, start: datetime) -> tuple[str, ...]:
    """The arguments that make it the same simulation, with the same people, at each start."""
    config = ("--config", str(settings.simulator.config)) if settings.simulator.config else ()
    return (
        *program("streaming-assets", "simulate"),
        *config,
        *("--users", str(settings.simulator.users)),
        *("--growth-rate", str(settings.simulator.growth_rate)),
        *("--seed", str(settings.simulator.seed)),
        *("--start", start.isoformat()),
    )


def history_commands(
    settings: Settings, start: datetime, end: datetime, hours_end: datetime
) -> list[tuple[str, ...]]:
    """What a first start does before anything runs: events from `start` to `end` into the lake, then their hours."""
    return [
        (*simulation(settings, start), "--end", end.isoformat(), "--to", "lake"),
        program("streaming-assets", "backfill", start.isoformat(), hours_end.isoformat()),
    ]


def services(settings: Settings, start: datetime, resume_from: datetime) -> list[Service]:
    """The processes of the local system, in the order in which they start."""
    dagster = (
        *(sys.executable, "-m", "streaming_assets.dagster_runtime.dev"),
        *("--workspace", str(Path(__file__).with_name("workspace.yaml")), "--log-level", "warning"),
        *("--host", settings.web.bind_host, "--port", str(settings.dagster.port)),
    )
    live = ("--resume-from", resume_from.isoformat(), "--continuous", "--to", "kafka")
    found = [
        Service("sink", program("streaming-assets", "sink")),
        Service("simulator", (*simulation(settings, start), *live)),
        Service("dagster", dagster, settings.dagster.port),
        Service(
            "dashboards", program("streaming-assets", "dashboards"), settings.dashboards.port, "/healthz"
        ),
    ]
    if not settings.kafka.bootstrap_servers:
        found.insert(0, Service("broker", program("streaming-assets", "broker")))
    return found
