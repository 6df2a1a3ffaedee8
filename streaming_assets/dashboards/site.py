"""What the pages work with: the snapshot in force, the settings they need, and how fresh the data is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from streaming_assets.published.manifest import Hours, NoSnapshot, SnapshotError
from streaming_assets.published.snapshot import SnapshotReader

Kind = Literal["ready", "empty", "failed"]


@dataclass(frozen=True)
class Site:
    """Where the pages' data comes from, and by what they judge it.

    Attributes:
        reader: gives the snapshot in force.
        monthly_price: of a subscription, USD.
        stale_after: age of the newest hour above which the pages warn.
        now: the time, UTC.
    """

    reader: SnapshotReader
    monthly_price: float
    stale_after: timedelta
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True)
class Status:
    """The state of the data.

    Attributes:
        kind: whether there is a snapshot that can be read.
        message: why not.
        snapshot: its serial number; 0 without one.
        as_of: the time up to which it has data, UTC.
        age: how long ago that was.
        stale: whether that is too long.
        hours: what it lacks of the hours before, where that is known.
    """

    kind: Kind
    message: str = ""
    snapshot: int = 0
    as_of: datetime | None = None
    age: timedelta = timedelta(0)
    stale: bool = False
    hours: Hours | None = None


def status(site: Site) -> Status:
    """How the data stands now; never raises for what is wrong with the snapshot."""
    try:
        snapshot = site.reader.current()
    except NoSnapshot as error:
        return Status("empty", str(error))
    except SnapshotError as error:
        return Status("failed", str(error))
    age = max(site.now() - snapshot.as_of, timedelta(0))
    stale, hours = age > site.stale_after, snapshot.manifest.hours
    return Status("ready", "", snapshot.manifest.snapshot, snapshot.as_of, age, stale, hours)
