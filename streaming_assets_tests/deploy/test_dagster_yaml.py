"""deploy/dagster.yaml through Dagster's own schema, and on a real PostgreSQL: tables, runs, drain."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from typing import Any

import dagster as dg
import grpc
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.engine import make_url

from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.settings import PROJECT_ROOT

DEPLOY = PROJECT_ROOT / "deploy"
drain = run_path(str(DEPLOY / "image" / "drain.py"))["drain"]
listed = run_path(str(DEPLOY / "image" / "lists_repositories.py"))["answer"]
loaded_problems = run_path(str(DEPLOY / "image" / "loaded.py"))["problems"]
CONFIG: dict[str, Any] = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
STORAGES = ("run_storage", "event_log_storage", "schedule_storage")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "10.0.0.3")
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "s3cret")
    monkeypatch.setenv("DAGSTER_LOG_BUCKET", "my-project-run-logs")


def write(config: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    return folder


def problems(folder: Path) -> list[str]:
    """What Dagster has against a dagster.yaml: of the file, and of each class that it names."""
    try:
        dagster_instance_config(str(folder))
        ref = InstanceRef.from_dir(str(folder))
    except dg.DagsterInvalidConfigError as error:
        return [str(error)]
    found = []
    for name, data in ref._asdict().items():
        if not hasattr(data, "class_name"):
            continue
        module = __import__(data.module_name, fromlist=[data.class_name])
        schema = resolve_to_config_type(getattr(module, data.class_name).config_type())
        result = process_config(schema, yaml.safe_load(data.config_yaml))  # pyright: ignore[reportArgumentType]
        found += [f"{name}: {error.message}" for error in result.errors or []]
    return found


@pytest.mark.usefixtures("environment")
def test_dagster_takes_the_file(tmp_path: Path) -> None:
    assert problems(write(CONFIG, tmp_path)) == []


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("run_retries", "max_retrys"), 2),
        (("concurrency", "pools", "granularity"), "asset"),
        (("run_storage", "config", "postgres_db", "host"), "x"),
        (("event_log_storage", "config", "postgres_db", "port"), "five"),
        (("compute_logs", "config", "buckets"), "x"),
        (("retention", "sensor", "purge_after_days"), {"skiped": 1}),
    ],
)
def test_a_seeded_mistake_is_found(tmp_path: Path, path: tuple[str, ...], value: Any) -> None:
    config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert problems(write(config, tmp_path))


def test_secrets_come_from_the_environment_and_the_driver_is_named() -> None:
    for storage in STORAGES:
        database = CONFIG[storage]["config"]["postgres_db"]
        assert database["password"] == {"env": "DAGSTER_POSTGRES_PASSWORD"}
        assert database["scheme"] == "postgresql+psycopg2"
    assert CONFIG["telemetry"]["enabled"] is False


def test_every_variable_is_given_by_the_compose_file() -> None:
    compose = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "image" / "with-secrets.sh").read_text()

    def named(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if set(node) == {"env"}:
                yield node["env"]
            for value in node.values():
                yield from named(value)

    names = set(named(CONFIG))
    assert names == {"DAGSTER_POSTGRES_HOST", "DAGSTER_POSTGRES_PASSWORD", "DAGSTER_LOG_BUCKET"}
    assert all(name in compose for name in names)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres: Callable[[str], str]) -> Path:
    """A DAGSTER_HOME with production's file, its database on this machine and no bucket."""
    folder = tmp_path_factory.mktemp("deployed")
    write(on_this_machine(postgres("deployed"), folder), folder / "home")
    migrated = script("migrate.py", folder / "home")  # as the first container does
    assert migrated.returncode == 0, migrated.stderr
    return folder / "home"


def on_this_machine(database: str, folder: Path) -> dict[str, Any]:
    """Production's file, for a database of this machine."""
    url = make_url(database)
    config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    for storage in STORAGES:
        place = {"hostname": url.host, "port": url.port, "db_name": url.database, "password": ""}
        config[storage]["config"]["postgres_db"].update(place)
    del config["compute_logs"]
    config["local_artifact_storage"]["config"]["base_dir"] = str(folder / "artifacts")
    return config


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def script(name: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the image as its container does."""
    return subprocess.run(
        [sys.executable, DEPLOY / "image" / name, *arguments],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_tables_are_made_with_the_pool_limited_and_may_be_there_already(
    home: Path, instance: dg.DagsterInstance
) -> None:
    assert instance.event_log_storage.get_concurrency_info(WAREHOUSE_POOL).slot_count == 1
    again = script("migrate.py", home)
    assert again.returncode == 0, again.stderr


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_of_several_that_make_the_tables_at_once_none_spoils_them(
    tmp_path: Path, postgres: Callable[[str], str]
) -> None:
    """As the pods of an installation do; one that fails is started again."""
    write(on_this_machine(postgres("at_once"), tmp_path), tmp_path)
    with ThreadPoolExecutor(3) as pods:
        list(pods.map(lambda _: script("migrate.py", tmp_path), range(3)))
    again = script("migrate.py", tmp_path)
    assert again.returncode == 0, again.stderr
    with dg.DagsterInstance.from_config(str(tmp_path)) as found:
        assert found.event_log_storage.get_concurrency_info(WAREHOUSE_POOL).slot_count == 1


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_drain_waits_for_runs_and_tells_of_those_that_stay(
    home: Path, instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drain(instance, 0) == 0
    run = instance.create_run_for_job(job(), status=dg.DagsterRunStatus.STARTED)
    try:
        assert drain(instance, 0.1) == 1
        assert "1 runs in progress" in capsys.readouterr().out
        done = script("drain.py", home, "0")
        assert done.returncode == 1
        assert "1 runs are still in progress" in done.stderr
    finally:
        instance.report_run_failed(run)
    assert drain(instance, 0) == 0


@pytest.mark.integration
@pytest.mark.xdist_group("postgres")
def test_a_release_sees_whether_the_graph_loads(home: Path, tmp_path: Path) -> None:
    """A real web server with one graph that loads and one that does not."""
    (tmp_path / "sound.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('no such table')\n")
    with webserver(home, tmp_path / "sound.py", tmp_path / "broken.py") as address:
        (problem,) = loaded_problems(address)
        assert problem.startswith("broken.py: ")
        assert "no such table" in problem
        assert script("loaded.py", home, address).returncode == 1


@pytest.mark.integration
def test_a_code_server_is_well_as_long_as_it_lists_its_repositories(tmp_path: Path) -> None:
    (tmp_path / "sound.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    port = free_port()
    address = f"127.0.0.1:{port}"
    assert "no answer" in script("lists_repositories.py", tmp_path, address).stderr
    process = subprocess.Popen(
        [
            Path(sys.executable).parent / "dagster",
            "api",
            "grpc",
            "--port",
            str(port),
            "--python-file",
            "sound.py",
        ],
        env={**os.environ, "DAGSTER_HOME": str(tmp_path), "DAGSTER_CURRENT_IMAGE": "repository/image:tag"},
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        deadline = time.monotonic() + 90
        while script("lists_repositories.py", tmp_path, address).returncode:
            assert process.poll() is None, "the code server ended"
            assert time.monotonic() < deadline, "the code server did not answer within 90 s"
        # Of this image are the runs that it is asked for, where each has a pod of its own.
        assert b'"container_image": "repository/image:tag"' in listed(address)
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_a_code_server_that_could_not_load_is_not_well(tmp_path: Path) -> None:
    """Started with --lazy-load or after a change of code it answers, and with an error."""
    handler = grpc.method_handlers_generic_handler(
        "api.DagsterApi",
        {"ListRepositories": grpc.unary_unary_rpc_method_handler(lambda *_: b'{"message": "no such table"}')},
    )
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = script("lists_repositories.py", tmp_path, f"127.0.0.1:{port}")
        assert done.returncode == 1
        assert "no such table" in done.stderr
    finally:
        server.stop(None)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def webserver(home: Path, *code: Path) -> Iterator[str]:
    port = free_port()
    files = [argument for path in code for argument in ("--python-file", path)]
    process = subprocess.Popen(
        [Path(sys.executable).parent / "dagster-webserver", "--port", str(port), *files],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/server_info", timeout=5)
                break
            except OSError:
                assert process.poll() is None, "the web server ended"
                assert time.monotonic() < deadline, "the web server did not answer within 90 s"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def one() -> None:
        nothing()

    return one
