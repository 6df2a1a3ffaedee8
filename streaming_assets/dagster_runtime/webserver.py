"""Dagster's web server behind the guard.

The stock one has no login, and executes mutations by GET and for pages of any origin: while it runs, each page that its
user looks at can wipe assets and delete runs.
"""

import logging
from typing import Any

from dagster_webserver import cli
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streaming_assets.settings import get_settings
from streaming_assets.web_guard import Guard, Refusal

log = logging.getLogger(__name__)


def serve(arguments: list[str]) -> None:
    """Serve until it is ended; `arguments` are dagster-webserver's.

    Raises:
        SystemExit: it ended, or an argument is wrong.
    """
    guard = Guard(get_settings().host_names)
    create = cli.create_app_from_workspace_process_context  # pyright: ignore[reportPrivateImportUsage]

    def create_guarded(*args: Any, **options: Any) -> Guarded:
        return Guarded(create(*args, **options), guard)

    cli.create_app_from_workspace_process_context = create_guarded  # pyright: ignore
    cli.cli.main(arguments, "streaming-assets webserver", auto_envvar_prefix="DAGSTER_WEBSERVER")


class Guarded:
    """Dagster's web application (ASGI), seeing what the guard lets through, and in no other page's frame."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def send_unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Frame-Options"] = "SAMEORIGIN"
            await send(message)

        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send_unframed)
            return
        log.warning("Refused %s: %s", scope["path"], refusal.message)
        await PlainTextResponse(f"{refusal.message}\n", refusal.status)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers, method = Headers(scope=scope), scope.get("method", "GET")
        by_get = scope["type"] == "http" and method != "POST" and scope["path"].endswith("/graphql")
        if by_get and "text/html" not in headers.get(
            "accept", ""
        ):  # for that Dagster shows a page of its own
            return Refusal(
                405, "GraphQL is asked by POST with Content-Type: application/json; by GET nothing is done"
            )
        return self._guard.refusal(method, headers.get)
