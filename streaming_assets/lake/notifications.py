"""What wakes the object sensor. A hint that saves listings: the listing stays the truth."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.names import HOUR, floor_hour, hour_prefix
from streaming_assets.settings import Settings

_MESSAGES = 1000  # of one pull, the most that Pub/Sub gives
_GLANCE = 0.2  # s between two looks at the times of the newest hours' folders
# What a tick that waits leaves of the time until the next, s: it has to have ended, or that one is left out.
_REST = 1.5
_LONGEST_WAIT = 30  # s; Dagster ends a tick that takes a minute

_log = logging.getLogger(__name__)


class Notifications(Protocol):
    """Whether a look at the lake may find anything new."""

    def is_look_due(self) -> bool:
        """Whether there is reason to list the lake."""
        ...

    def settled(self) -> None:
        """The lake was listed, and nothing of it is left to ask for."""
        ...


class NoNotifications:
    """Every tick looks."""

    def is_look_due(self) -> bool:
        return True

    def settled(self) -> None: ...


class FolderNotifications:
    """The times of the folders of the newest hours: a tick waits for them to change, so that an object which lands
    between two ticks is seen at once. Then it looks in any case: the folders of late objects are not watched.
    """

    def __init__(
        self,
        root: str | Path,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Args:
            root: of the lake.
            wait_seconds: how long, s, a tick waits at most.
            clock: seconds that only grow.
            sleep: lets that many seconds pass.
        """
        self._root, self.wait_seconds = Path(root), wait_seconds
        self._clock, self._sleep = clock, sleep
        self._has_settled, self._known = False, dict[str, int]()

    def is_look_due(self) -> bool:
        until = self._clock() + self.wait_seconds
        while self._has_settled and self._clock() < until and self._times() == self._known:
            self._sleep(_GLANCE)
        # Before the lake is listed: what lands from here on may be missing in the listing.
        self._has_settled, self._known = False, self._times()
        return True

    def settled(self) -> None:
        self._has_settled = True

    def _times(self) -> dict[str, int]:
        """Nanoseconds by folder, of those that are there; each object that is put in place changes its folder's."""
        newest = floor_hour(datetime.now(UTC))
        times = {}
        for prefix in (hour_prefix(topic, hour) for topic in LAKE_TOPICS for hour in (newest - HOUR, newest)):
            with suppress(OSError):
                times[prefix] = os.stat(self._root / prefix).st_mtime_ns
        return times


class PubSubNotifications:
    """A subscription to the bucket's notifications. Messages are acknowledged and never read: the lake tells what came.

    A look stays due until it has settled, so none is lost when a listing fails or hours wait for a run. Without any
    message one is due every `relist_seconds`, and whenever Pub/Sub does not answer.
    """

    def __init__(
        self,
        subscription: str,
        relist_seconds: float,
        connect: Callable[[], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            subscription: `projects/P/subscriptions/S`.
            relist_seconds: the longest time, s, between two looks.
            connect: makes the client of the `pubsub.v1` interface, when it is first needed.
            clock: seconds that only grow.
        """
        self._subscription, self._relist_seconds = subscription, relist_seconds
        self._connect, self._clock = connect, clock
        self._is_due, self._settled_at = True, clock()

    def is_look_due(self) -> bool:
        self._is_due = (
            self._pull() or self._is_due or self._clock() - self._settled_at >= self._relist_seconds
        )
        return self._is_due

    def settled(self) -> None:
        self._is_due, self._settled_at = False, self._clock()

    @cached_property
    def _subscriptions(self) -> Any:
        return self._connect().projects().subscriptions()

    def _pull(self) -> bool:
        from google.auth.exceptions import GoogleAuthError
        from googleapiclient.errors import Error
        from httplib2 import HttpLib2Error

        place = {"subscription": self._subscription}
        try:
            body = {"maxMessages": _MESSAGES, "returnImmediately": True}
            messages = self._subscriptions.pull(**place, body=body).execute().get("receivedMessages", [])
            if messages:
                ids = [message["ackId"] for message in messages]
                self._subscriptions.acknowledge(**place, body={"ackIds": ids}).execute()
        except (Error, GoogleAuthError, HttpLib2Error, OSError) as error:
            _log.warning("%s can't be pulled, so the lake is listed: %s", self._subscription, error)
            return True
        return bool(messages)


def notifications_of(settings: Settings) -> Notifications:
    """The notifications of the settings."""
    if not settings.lake.pubsub_subscription:
        if "://" in settings.lake.url:
            return NoNotifications()
        wait = min(settings.dagster.sensor_interval_seconds - _REST, _LONGEST_WAIT)
        return FolderNotifications(Path(settings.lake.url).expanduser(), wait)

    return PubSubNotifications(settings.lake.pubsub_subscription, settings.lake.relist_seconds, pubsub)


def pubsub() -> Any:
    """A client of the `pubsub.v1` interface."""
    from googleapiclient.discovery import build

    return build("pubsub", "v1", static_discovery=True, cache_discovery=False)
