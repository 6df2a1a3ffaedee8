"""Dagster's own web application behind the guard: what attacks it, and what its pages do."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import dagster as dg
import pytest
import uvicorn
from dagster_webserver import cli
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from streaming_assets.cli import app
from streaming_assets.dagster_runtime.dev import guarded
from streaming_assets_tests.integration.dagster_system import free_ports
from streaming_assets_tests.integration.sink_processes import wait_until

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("webserver")]  # one application serves all

EVIL = "http://evil.example"
ATTACK = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["precious"]}}]) { __typename } }'
AS_JSON = json.dumps({"query": ATTACK})


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as found:
        found.report_runless_asset_event(dg.AssetMaterialization("precious"))
        yield found


@pytest.fixture(scope="module")
def port(instance: dg.DagsterInstance) -> Iterator[int]:
    """Where `streaming-assets webserver` serves the instance, in a thread of this process."""
    (port,) = free_ports(1)
    servers: list[uvicorn.Server] = []

    def run(application: Any, **options: Any) -> None:
        servers.append(uvicorn.Server(uvicorn.Config(application, **options)))
        servers[0].run()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn, "run", run)
        stock = cli.create_app_from_workspace_process_context
        patch.setattr(cli, stock.__name__, stock)  # so that it is put back
        patch.setattr(cli, "setup_interrupt_handlers", lambda: None)  # they are of a main thread
        patch.setenv("DAGSTER_HOME", instance.root_directory)
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
        arguments = ["webserver", "--empty-workspace", "--port", str(port)]
        thread = threading.Thread(target=CliRunner().invoke, args=(app, arguments))
        thread.start()
        try:
            wait_until(lambda: servers and servers[0].started, "it serves", 60, every=0.05)
            yield port
        finally:
            for server in servers:
                server.should_exit = True
            thread.join(30)


@pytest.fixture
def ask(port: int) -> Callable[..., tuple[int, str, Any]]:
    def ask(
        method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, Any]:
        """Status, text and headers of an answer; `body` is sent as JSON unless it is text."""
        kind = {} if body is None or isinstance(body, str) else {"Content-Type": "application/json"}
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request(method, path, text, {"Host": f"localhost:{port}"} | kind | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers

    return ask


Ask = Callable[..., tuple[int, str, Any]]


def test_its_pages_load_and_ask(port: int, ask: Ask) -> None:
    own = {"Origin": f"http://localhost:{port}"}
    status, text, headers = ask("GET", "/")
    assert status == 200
    assert "<html" in text
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    status, text, _ = ask("POST", "/graphql", {"query": "{ version }"}, own)
    assert json.loads(text)["data"]["version"] == dg.__version__
    assert "GraphiQL" in ask("GET", "/graphql", None, {"Accept": "text/html"})[1]
    with connect(
        f"ws://localhost:{port}/graphql", subprotocols=["graphql-ws"], origin=own["Origin"]
    ) as spoken:
        spoken.send(json.dumps({"type": "connection_init"}))
        assert json.loads(spoken.recv(10)) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    ("method", "query", "body", "headers", "told"),
    [
        ("GET", {"query": ATTACK}, None, {}, "GraphQL is asked by POST"),
        ("GET", {"query": ATTACK}, None, {"Accept": "image/*"}, "GraphQL is asked by POST"),
        ("POST", {"query": ATTACK}, None, {}, "Content-Type: application/json"),
        ("POST", {}, ATTACK, {"Content-Type": "text/plain; application/graphql"}, "application/json"),
        ("POST", {}, AS_JSON, {"Content-Type": "text/plain; application/json"}, "application/json"),
        ("POST", {}, {"query": ATTACK}, {"Origin": EVIL}, "ALLOWED_HOSTS=evil.example"),
        ("POST", {}, {"query": ATTACK}, {"Host": "evil.example"}, "ALLOWED_HOSTS=evil.example"),
    ],
    ids=["get", "image", "empty-post", "text-post", "disguised-post", "origin", "rebinding"],
)  # fmt: skip
def test_attacks_are_refused_and_told_the_way_out(
    instance: dg.DagsterInstance,
    ask: Ask,
    method: str,
    query: dict[str, str],
    body: Any,
    headers: dict[str, str],
    told: str,
) -> None:
    status, text, _ = ask(method, f"/graphql?{urlencode(query)}", body, headers)
    assert status in (403, 405, 415)
    assert told in text
    assert instance.has_asset_key(dg.AssetKey("precious"))


def test_reports_of_assets_are_held_to_the_same(ask: Ask) -> None:
    assert ask("POST", "/report_asset_materialization/precious")[0] == 415
    assert ask("POST", "/report_asset_materialization/precious", {})[0] == 200


@pytest.mark.parametrize("headers", [{"Origin": EVIL}, {"Host": "evil.example"}], ids=["origin", "rebinding"])
def test_a_websocket_of_another_site_is_refused(port: int, headers: dict[str, str]) -> None:
    address = f"ws://{headers.get('Host', 'localhost')}:{port}/graphql"
    reached = socket.create_connection(("127.0.0.1", port))
    with pytest.raises(InvalidStatus) as refused:
        connect(address, sock=reached, subprotocols=["graphql-ws"], origin=headers.get("Origin"))
    response = refused.value.response
    assert response.status_code == 403
    assert b"STREAMING_ASSETS_ALLOWED_HOSTS=evil.example" in response.body


# The last that asks: what is refused above would work.
def test_the_attack_is_one(instance: dg.DagsterInstance, ask: Ask) -> None:
    ask("POST", "/graphql", {"query": ATTACK})
    assert not instance.has_asset_key(dg.AssetKey("precious"))


def test_dagster_dev_starts_the_guarded_one_and_nothing_unknown() -> None:
    assert guarded(["python", "-m", "dagster_webserver", "--port", "1"]) == [
        *("python", "-m", "streaming_assets", "webserver", "--port", "1")
    ]
    assert guarded(["python", "-m", "dagster._daemon", "run"]) == ["python", "-m", "dagster._daemon", "run"]
    with pytest.raises(RuntimeError, match=r"dagster_ui.* is not known"):
        guarded(["python", "-m", "dagster_ui"])
