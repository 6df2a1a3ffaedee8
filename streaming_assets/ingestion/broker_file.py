"""The files that a running embedded broker leaves: its address, `HOME/broker.json`, and how much it has taken,
`HOME/epochs/<epoch>.json`.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from streaming_assets.files import replaced


@dataclass(frozen=True)
class BrokerInfo:
    """One existence of the embedded broker.

    Attributes:
        bootstrap_servers: `host:port`.
        stream_epoch: unique name of this existence; offsets start at 0 in each.
        pid: process that hosts it.
        started_at: ISO time, UTC.
    """

    bootstrap_servers: str
    stream_epoch: str
    pid: int
    started_at: str


def write_broker_file(path: Path, info: BrokerInfo) -> None:
    """Put the file in place, seen whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as incoming:
        incoming.write_text(json.dumps(asdict(info)))


def read_broker_file(path: Path) -> BrokerInfo | None:
    """What the file says; None if there is none, or none that this version can read."""
    try:
        return BrokerInfo(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


Ends = dict[str, list[int]]  # by topic, of each partition the offset that its next record will get


def write_ends(home: Path, stream_epoch: str, ends: Ends) -> None:
    """Put the file of that stream epoch in place, seen whole or not at all."""
    path = home / "epochs" / f"{stream_epoch}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as incoming:
        incoming.write_text(json.dumps(ends))


def read_ends(home: Path) -> dict[str, Ends]:
    """What each stream epoch that no sink has settled with had taken, as last written; unreadable files say nothing."""
    found: dict[str, Ends] = {}
    for path in sorted((home / "epochs").glob("*.json")):
        try:
            found[path.stem] = {
                str(topic): list(map(int, ends)) for topic, ends in json.loads(path.read_text()).items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            found[path.stem] = {}
    return found


def forget_ends(home: Path, stream_epoch: str) -> None:
    """Remove the file of that stream epoch."""
    (home / "epochs" / f"{stream_epoch}.json").unlink(missing_ok=True)
