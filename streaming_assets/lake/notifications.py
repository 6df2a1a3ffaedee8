"""What wakes the object sensor. A hint that saves listings: the listing stays the truth."""

import logging
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from streaming_assets.settings import Settings

_MESSAGES = 1000  # of one pull, the most that Pub/Sub gives

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
    if not settings.pubsub_subscription:
        return NoNotifications()

    def connect() -> Any:
        from googleapiclient.discovery import build

        return build("pubsub", "v1", static_discovery=True, cache_discovery=False)

    return PubSubNotifications(settings.pubsub_subscription, settings.relist_seconds, connect)
