"""Broker, emulator and worker as one: up, down, and what is kept between the two."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from streaming_assets.files import locked, replaced
from streaming_assets.ingestion.kafka_local import KafkaLocalError, processes
from streaming_assets.ingestion.kafka_local.downloads import Echo
from streaming_assets.ingestion.kafka_local.processes import ProcessMark
from streaming_assets.ingestion.kafka_local.services import SERVICES, Place


@dataclass(frozen=True)
class ServiceState:
    """One service as it is now; `why` tells why `up` left it out."""

    name: str
    state: Literal["running", "died", "stopped"]
    address: str
    pid: int | None
    log: Path
    why: str = ""


@dataclass
class _Memory:
    """What is kept between runs: the processes that were started, and the last ports."""

    processes: dict[str, ProcessMark] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


class Stack:
    """The services of one place. One command at a time works on it, the next one waits."""

    def __init__(self, place: Place, echo: Echo = print) -> None:
        self.place = place
        self._echo = echo
        self._file = place.home / "state.json"

    def up(
        self, names: Iterable[str] = tuple(SERVICES), ports: Mapping[str, int] | None = None
    ) -> list[ServiceState]:
        """Start those of `names` that do not run; each that was started is ready when this returns.

        One that can't be run on this machine is told and left out, with those that need it.

        Args:
            names: keys of `SERVICES`.
            ports: port by name of the service (`controller` for the broker's second); the others keep the
                last run's port, or get a free one.

        Raises:
            KafkaLocalError: a service ended or did not become ready; the others stay as they are.
        """
        wanted, why = set(names), dict[str, str]()
        with self._memory() as memory:
            for name, service in SERVICES.items():
                if name not in wanted or _runs(memory, name):
                    continue
                left_out = [need for need in service.needs if not _runs(memory, need)]
                try:
                    if left_out:
                        raise KafkaLocalError(f"it needs {' and '.join(left_out)}")
                    memory.ports |= _ports(service.ports, ports or {}, memory.ports)
                    launch = service.prepare(self.place, memory.ports, self._echo)
                except KafkaLocalError as error:
                    why[name] = str(error)
                    self._echo(f"{name} is left out: {error}")
                    continue
                log = self.place.log(name)
                if log.exists():  # its last words tell why it ended
                    log.replace(log.with_suffix(".previous.log"))
                self._echo(f"starting {name} ...")
                mark = processes.spawn(launch.command, log, launch.environment)
                memory.processes[name] = mark
                self._save(memory)
                processes.wait_ready(
                    name,
                    mark,
                    lambda s=service: s.ready(self.place, memory.ports),
                    log,
                    service.start_seconds,
                )
        return [state for state in self.states(why) if state.name in wanted]

    def down(self, names: Iterable[str] = tuple(SERVICES)) -> list[str]:
        """Stop what `up` started, the last first; the names of those that ran.

        Raises:
            KafkaLocalError: a process can't be ended.
        """
        wanted, stopped = set(names), list[str]()
        with self._memory() as memory:
            for name in reversed(SERVICES):
                if name not in wanted or name not in memory.processes:
                    continue
                if _runs(memory, name):
                    self._echo(f"stopping {name} ...")
                    processes.stop(memory.processes[name], SERVICES[name].grace_seconds)
                    stopped.append(name)
                del memory.processes[name]
        return stopped

    def states(self, why: Mapping[str, str] | None = None) -> list[ServiceState]:
        """Each service as it is now."""
        memory = self._load()
        states = []
        for name, service in SERVICES.items():
            mark = memory.processes.get(name)
            running = _runs(memory, name)
            states.append(
                ServiceState(
                    name=name,
                    state="running" if running else "died" if mark else "stopped",
                    address=service.address(memory.ports) if running else "",
                    pid=mark.pid if mark and running else None,
                    log=self.place.log(name),
                    why=(why or {}).get(name, ""),
                )
            )
        return states

    def address(self, name: str) -> str:
        """The address of a running service; empty if it does not run."""
        return next(state.address for state in self.states() if state.name == name)

    @contextmanager
    def _memory(self) -> Iterator[_Memory]:
        with locked(self.place.home / "lock"):
            memory = self._load()
            try:
                yield memory
            finally:
                self._save(memory)

    def _load(self) -> _Memory:
        try:
            kept = json.loads(self._file.read_text())
            marks = {name: ProcessMark(**mark) for name, mark in kept["processes"].items()}
            return _Memory(marks, kept["ports"])
        except FileNotFoundError:
            return _Memory()
        except (ValueError, KeyError, TypeError) as error:
            raise KafkaLocalError(
                f"{self._file} can't be read ({error}): end what runs there by hand, then remove the file"
            ) from error

    def _save(self, memory: _Memory) -> None:
        with replaced(self._file) as incoming:
            incoming.write_text(json.dumps(asdict(memory), indent=1))


def _ports(names: Iterable[str], chosen: Mapping[str, int], last: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the chosen one, else that of the last run if it is free, else any."""
    found = {}
    for name in names:
        wanted = chosen.get(name, 0)
        found[name] = processes.free_port(wanted or last.get(name, 0))
        if wanted and found[name] != wanted:
            raise KafkaLocalError(f"port {wanted} is taken; end what listens there, or choose another")
    return found


def _runs(memory: _Memory, name: str) -> bool:
    mark = memory.processes.get(name)
    return mark is not None and processes.is_running(mark)
