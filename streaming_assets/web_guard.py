"""Which requests a web server of this project answers: those to a name of its own, from pages of its own.

A browser lets any page of any site send requests to a server on the same machine or network, and a site whose name is
made to point at that server (DNS rebinding) read the answers, too. Neither needs a login here. What a page can't do is
name another host or origin than its own, or post JSON to another origin unasked; so these are looked at. Pure.
"""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streaming_assets.settings import env_name

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: of HTTP.
        message: what is wrong and the way out, plain text.
    """

    status: int
    message: str


class Guard:
    """Judges requests by their headers.

    Args:
        host_names: names, comma-separated, that count as the server's own beside localhost and IP addresses. A page
            reached by an IP address can't be another site's: rebinding needs a name.
    """

    def __init__(self, host_names: str) -> None:
        self._names = {"localhost", *filter(None, host_names.split(","))}

    def refusal(self, method: str, header: Callable[[str], str | None]) -> Refusal | None:
        """Why the request is not answered; None if it is.

        Args:
            method: of HTTP; GET for the handshake of a websocket.
            header: gives the value of a header by its name, lower case.
        """
        host, origin = header("host") or "", header("origin")
        name = _name(f"//{host}")
        if name not in self._names and not _is_address(name):
            return Refusal(
                403,
                f"This server does not answer to the name '{name or host}'. If it is a name of this server, "
                f"allow it: {env_name('allowed_hosts')}={name or '...'}",
            )
        if origin is not None and not self._is_own(origin, host):
            return Refusal(
                403,
                f"Pages of {origin} may not use this server. If that is where a proxy shows it, allow the name: "
                f"{env_name('allowed_hosts')}={_name(origin) or '...'}",
            )
        kind = (header("content-type") or "").partition(";")[0].strip().lower()
        if method not in _SAFE_METHODS and kind != "application/json":
            return Refusal(
                415, f"A {method} needs the header Content-Type: application/json, not {kind or 'none'!r}"
            )
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        own = {f"{scheme}://{host}".lower() for scheme in ("http", "https")}
        # A proxy may ask by another name than the page has; another port of localhost is another program.
        return origin.lower() in own or _name(origin) in self._names - {"localhost"}


def guarded(app: "WSGIApplication", guard: Guard) -> "WSGIApplication":
    """The application, of which the guard lets through what it answers."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def header(name: str) -> str | None:
            key = name.upper().replace("-", "_")
            return environ.get(key if key == "CONTENT_TYPE" else f"HTTP_{key}")

        refusal = guard.refusal(environ["REQUEST_METHOD"], header)
        if refusal is None:
            return app(environ, start_response)
        status = HTTPStatus(refusal.status)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{refusal.message}\n".encode()]

    return answer


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
