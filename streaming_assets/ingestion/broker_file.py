"""The file in which a running embedded broker leaves its address: `HOME/broker.json`."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class BrokerInfo:
    """One existence of the embedded broker.

    Attributes:
        bootstrap_servers: `host:port`.
        life: unique name of this existence; offsets start at 0 in each.
        pid: process that hosts it.
        started_at: ISO time, UTC.
    """

    bootstrap_servers: str
    life: str
    pid: int
    started_at: str


def write_broker_file(path: Path, info: BrokerInfo) -> None:
    """Put the file in place, seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = path.with_name(f"{path.name}.{os.getpid()}")
    incoming.write_text(json.dumps(asdict(info)))
    os.replace(incoming, path)


def read_broker_file(path: Path) -> BrokerInfo | None:
    """What the file says; None if there is none, or none that this version can read."""
    try:
        return BrokerInfo(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
