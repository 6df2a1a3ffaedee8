"""The Dash app, assembled: the pages, their shell, the downloads, and `/healthz`."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import dash
import dash_mantine_components as dmc
import flask
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from streaming_assets.dashboards import downloads, page, parts, shell
from streaming_assets.dashboards.pages import BY_PATH, PAGES
from streaming_assets.dashboards.site import Site, Status, status
from streaming_assets.published.manifest import SnapshotError
from streaming_assets.web_guard import Guard, guarded

log = logging.getLogger(__name__)

POLL_SECONDS = 10  # how often an open page looks for another snapshot
# Mantine's shades of dark, from text to background, in the style sheet's blue.
DARK = [
    "#f1f4fa", "#c3cbdb", "#aab4c8", "#8591aa", "#2f3750", "#262d42", "#171c2c", "#141826", "#10131f", "#0a0c13",
]  # fmt: skip
THEME: Any = {
    "primaryColor": "indigo",
    "fontFamily": "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, Ubuntu, sans-serif",
    "defaultRadius": "md",
    "colors": {"dark": DARK},
}
# Nothing may come from anywhere else: the browser itself refuses a request to another host, and each script in the page
# whose hash is not Dash's own. Styles are inline, since components and charts set them on their elements.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
PAGE_HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<title>{%title%}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<script src="/assets/scheme.js"></script>
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def create_app(site: Site, host_names: str = "") -> Dash:
    """The app; `app.server` is its WSGI application, and answers to the names that the guard allows."""
    app = Dash(
        __name__,
        title="Streaming dashboards",
        update_title="",
        index_string=PAGE_HTML,
        assets_folder=str(Path(__file__).parent / "assets"),
        assets_ignore=r"scheme\.js",  # the head has it already
        serve_locally=True,
        suppress_callback_exceptions=True,
        on_error=_on_error,
    )
    app.layout = lambda: _layout(site)
    _register_shell(app, site)
    for one in PAGES:
        page.register(app, site, one)
    downloads.register(app.server, site)

    app.server.get("/healthz")(lambda: _health(site))
    _tell_browsers(app)
    app.server.wsgi_app = guarded(app.server.wsgi_app, Guard(host_names))
    return app


def _health(site: Site) -> tuple[dict[str, Any], int]:
    """How the data stands, and an error if it can't be served; before anything is published the pages are well."""
    state = status(site)
    if state.kind == "ready":
        try:
            site.reader.current().check()
        except SnapshotError as error:
            state = replace(state, kind="failed", message=str(error))
    told: dict[str, Any] = {"status": state.kind, "snapshot": state.snapshot}
    if state.as_of is not None:
        age = round(state.age.total_seconds())
        told |= {"as_of": state.as_of.isoformat(), "age_seconds": age, "stale": state.stale}
    if state.message:
        told["message"] = state.message
    return told, 503 if state.kind == "failed" else 200


def _tell_browsers(app: Dash) -> None:
    """Tell browsers what the pages may do; after all callbacks, whose scripts count."""
    headers = {
        "Content-Security-Policy": CONTENT_POLICY.format(hashes=" ".join(app.csp_hashes())),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }

    @app.server.after_request
    def tell(response: flask.Response) -> flask.Response:
        response.headers.update(headers)
        return response


def _layout(site: Site) -> Any:
    state = status(site)
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="poll", interval=POLL_SECONDS * 1000),
            dcc.Store(id="standing", data=_standing(state)),
            html.A("Skip to content", href="#page", className="skip-link"),
            shell.header(state),
            html.Main(
                [
                    html.Div(shell.stale_warning(state, site), id="stale", role="status"),
                    html.Div(id="failure"),
                    html.Div(id="page"),
                ],
                className="main",
            ),
        ],
        id="provider",
        defaultColorScheme="auto",
        theme=THEME,
    )


def _register_shell(app: Dash, site: Site) -> None:
    @app.callback(
        Output("page", "children"),
        Output("nav", "children"),
        Output("failure", "children"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("standing", "data"),
        State(parts.ADDRESS | {"page": ALL}, "data"),
    )
    def show(path: str, query: str | None, _standing: str, drawn: list[str]) -> tuple[Any, ...]:
        if drawn == [query] and {one["prop_id"] for one in ctx.triggered} == {"url.search"}:
            raise PreventUpdate  # the page's own filters changed the address; Back and links did not
        state = status(site)
        asked = BY_PATH.get(path)
        if asked is None:
            content = shell.not_found(path)
        elif state.kind != "ready":
            content = shell.in_place_of_page(state)
        else:
            try:
                content = page.render(asked, site, site.reader.current(), query or "")
            except SnapshotError as error:
                log.error("%s", error)
                content = shell.failure(str(error))
        return content, shell.links(path), None

    @app.callback(
        Output("standing", "data"),
        Output(parts.SNAPSHOT | {"page": ALL}, "data"),
        Output("freshness", "children"),
        Output("whole-until", "children"),
        Output("stale", "children"),
        Input("poll", "n_intervals"),
        State("standing", "data"),
        State(parts.SNAPSHOT | {"page": ALL}, "data"),
        prevent_initial_call=True,
    )
    def poll(_n: int, shown: str, drawn: list[int]) -> tuple[Any, ...]:
        state = status(site)
        now = _standing(state)
        # A page that is drawn takes up a snapshot by itself; any other is rendered anew.
        return (
            no_update if shown == now or (drawn and shown.split()[0] == state.kind) else now,
            [no_update if state.snapshot == snapshot else state.snapshot for snapshot in drawn],
            shell.freshness(state),
            no_update
            if drawn == [state.snapshot]
            else shell.hours(state),  # or it would close under the eyes
            shell.stale_warning(state, site),
        )

    app.clientside_callback(
        ClientsideFunction("pages", "keepAddress"),
        Input(parts.MOVED | {"page": ALL}, "data"),
        prevent_initial_call=True,
    )


def _standing(state: Status) -> str:
    return f"{state.kind} {state.snapshot}"


def _on_error(error: Exception) -> None:
    """A callback failed: say so above the page, which keeps what it showed."""
    if isinstance(error, SnapshotError):
        log.error("%s", error)
        message = f"{error}. Materialise dashboard_snapshot in Dagster once more."
    else:
        log.exception("a callback failed", exc_info=error)
        message = "The log of the dashboards says why. Try again, or reload the page."
    dash.set_props("failure", {"children": shell.failure_notice(message)})
