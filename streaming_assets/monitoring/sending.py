"""Messages to people, through apprise: Slack and what is compatible with it, e-mail, and a hundred other ways."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import apprise

SAMPLE = (
    "streaming_assets: a sample",
    "Alerts of streaming_assets arrive here. Nothing is wrong: somebody typed `streaming-assets alerts test`.",
)


class AddressError(ValueError):
    """An address of alerts can't be used; the message says which, without its secrets."""


@dataclass(frozen=True)
class Address:
    """Where messages go. `key` stands for it where secrets may not be, `name` is for people and has none either."""

    key: str
    name: str
    _to: apprise.Apprise

    def send(self, title: str, body: str) -> str | None:
        """Send a message; within seconds, since apprise waits 4 s for a connection and 4 s for an answer.

        Returns:
            Why it was not sent; None if it was.
        """
        said: Any
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            try:
                if self._to.notify(body, title, body_format=apprise.NotifyFormat.TEXT):
                    return None
            except Exception as error:  # of whatever plugin: a message harms nobody
                return f"{type(error).__name__}: {error}"
            return " ".join(said.getvalue().split()) or "it was refused"


def addresses_of(text: str) -> list[Address]:
    """The addresses in a text, apart by white space.

    Raises:
        AddressError: one of them is none that apprise knows.
    """
    found = []
    for number, url in enumerate(text.split(), 1):
        to = apprise.Apprise()
        with apprise.LogCapture(level=logging.CRITICAL):
            is_good = to.add(url)
        if not is_good:
            raise AddressError(
                f"address {number} of alerts, {url.partition('://')[0][:20]}://..., is none that apprise can use: its "
                "page on the service has the form (https://github.com/caronc/apprise/wiki)"
            )
        key = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
        found.append(Address(key, to[0].url(privacy=True).partition("?")[0], to))
    return found
