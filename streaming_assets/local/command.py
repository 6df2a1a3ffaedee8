"""`streaming-assets dev`: the local system under a process manager."""

import fcntl
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import typer

from streaming_assets.home import check_home
from streaming_assets.local.definitions_server import keep_loaded
from streaming_assets.local.plan import Service, services
from streaming_assets.local.state import LocalState, StateMismatch
from streaming_assets.settings import Settings, env_name, get_settings

HEARTBEAT_SECONDS = 2.0
PATIENCE_SECONDS = 10.0  # between two words about what does not answer yet


class DevError(Exception):
    """The local system can't start; the message says why and the way out."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("dev")(dev)


def dev() -> None:
    """Run the whole system here: broker, simulator, sink, Dagster with its sensors on, dashboards. Ctrl-C ends it.

    The first start makes three weeks of history first (STREAMING_ASSETS_SIMULATOR_HISTORY_HOURS). A later one goes
    on where the last stopped. What each service says is in HOME/logs; the console has what matters.
    """
    from streaming_assets.local.history import HistoryFailed

    settings = get_settings()
    # SIGINT as well: a shell starts its background jobs without a handler.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with _alone(settings.home), _scratch_folder() as scratch:
            raise typer.Exit(_run(settings, scratch))
    except (DevError, StateMismatch, HistoryFailed) as error:
        print(f"dev: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("dev: stopped before all of it ran; the next start begins there again", file=sys.stderr)
        raise typer.Exit(130) from None


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _run(settings: Settings, scratch: str) -> int:
    from streaming_assets.dagster_runtime.instance import dagster_environment, prepare_dagster_home
    from streaming_assets.local.history import first_state, make_history
    from streaming_assets.local.manager import ServiceManager

    for name, port in (
        ("dagster_port", settings.dagster.port),
        ("dashboards_port", settings.dashboards.port),
    ):
        _check_port(settings, name, port)
    path = settings.dev_state_file
    state = LocalState.load(path) or first_state(settings, datetime.now(UTC))
    state.check(settings)
    prepare_dagster_home(settings)
    environment = {
        **os.environ,
        **dagster_environment(settings),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": scratch,
    }
    if not state.has_history:
        state.save(path)  # broken off and begun again an hour later, it must be the same simulation
        state = make_history(state, settings, environment, _echo)
        state.save(path)
    planned = services(settings, state.start, state.alive_until)
    _echo(
        f"Starting {', '.join(service.name for service in planned)}; what they say is in {settings.logs_dir}"
    )
    as_json = settings.monitoring.log_format == "json"
    stop = threading.Event()
    threading.Thread(target=_beat, args=(state, path, stop), daemon=True).start()
    threading.Thread(target=_announce, args=(settings, planned, stop), daemon=True).start()
    threading.Thread(target=keep_loaded, args=(settings, stop, _echo), daemon=True).start()
    try:
        return ServiceManager(settings.logs_dir, environment, _echo, as_json).run(planned)
    finally:
        stop.set()


def _echo(line: str) -> None:
    print(line, flush=True)


def _beat(state: LocalState, path: Path, stop: threading.Event) -> None:
    """Remember that the system runs: events from a little before the last beat on are delivered again."""
    # What the simulator released in the last seconds may not have reached the lake when all is ended at once.
    lag = 30
    while not stop.wait(HEARTBEAT_SECONDS):
        until = datetime.fromtimestamp(int(time.time()) - lag, UTC)
        if until > state.alive_until:
            replace(state, alive_until=until).save(path)


def _announce(settings: Settings, planned: list[Service], stop: threading.Event) -> None:
    listening = [service for service in planned if service.port]
    waiting = list(listening)
    begun = told = time.monotonic()
    while waiting and not stop.wait(0.5):
        waiting = [service for service in waiting if not _answers(settings, service)]
        if waiting and time.monotonic() - told >= PATIENCE_SECONDS:
            told = time.monotonic()
            names = " and ".join(service.name for service in waiting)
            _echo(f"Waiting for {names}: {told - begun:.0f} s")
    if not stop.is_set():
        lines = [
            f"  {service.name:<12} http://{settings.web.bind_host}:{service.port}" for service in listening
        ]
        _echo("\n".join(["", "Ready. Ctrl-C ends all of it.", *lines, ""]))


def _answers(settings: Settings, service: Service) -> bool:
    address = f"http://{settings.web.bind_host}:{service.port}{service.path}"
    with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(address, timeout=2):
        return True
    return False


def _check_port(settings: Settings, name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web.bind_host, port))
        except OSError as error:
            raise DevError(
                f"port {port} on {settings.web.bind_host} can't be used ({error.strerror}): end what listens there, or "
                f"choose another, as in {env_name(name)}={port + 1} make dev"
            ) from None


def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Where Dagster leaves its sockets behind when it is ended; under the system's, as their paths must be short."""
    return tempfile.TemporaryDirectory(prefix="streaming-assets-", ignore_cleanup_errors=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    check_home(home)
    with open(home / "dev.lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DevError(f"process {lock.read().strip() or 'unknown'} already runs with {home}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
