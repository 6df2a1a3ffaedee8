"""`streaming-assets superset`: what its REST interface answers equals what SQL counts in the same snapshot.

Superset is large, so its environment and its own database, empty of what this project makes in it, are kept in the
checkout's cache; the command makes both.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from typer.testing import CliRunner

from streaming_assets import settings
from streaming_assets.bi.bundle import CHARTS
from streaming_assets.bi.command import FILES
from streaming_assets.bi.semantics import cubes
from streaming_assets.cli import app
from streaming_assets.dashboards.metrics import metrics
from streaming_assets.ingestion.kafka_local.processes import free_port
from streaming_assets.published.analytics import DATABASE
from streaming_assets.settings import Settings, env_name
from streaming_assets.testing import CACHE
from streaming_assets_tests.published.marts import FIRST, Marts
from streaming_assets_tests.tools import FetchError, kept, need

_KEPT = ("superset.db", "superset.version", "secret_key", "password")
_START_SECONDS = 240


def test_where_nothing_is_published_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.bi.command.get_settings", lambda: Settings(home=tmp_path / "home"))
    told = CliRunner().invoke(app, ["superset"])
    assert told.exit_code == 1
    assert told.stderr.startswith("superset: nothing has been published to ")
    assert not (tmp_path / "home").exists(), "nothing is installed"


def test_where_facts_are_not_published_it_names_them_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming_assets.bi.command.get_settings", lambda: Settings(home=tmp_path))
    (tmp_path / "published").mkdir()
    with duckdb.connect(tmp_path / "published" / DATABASE) as database:
        database.execute("create view mart_daily_ad_revenue as select 1 as ads_served")
    told = CliRunner().invoke(app, ["superset"])
    assert told.exit_code == 1
    assert "Table with name fact_" in told.stderr
    assert "streaming-assets backfill" in told.stderr
    assert not (tmp_path / "superset").exists(), "nothing is installed"


@contextmanager
def served(home: Path, environment: Path) -> Iterator[requests.Session]:
    """Superset by the command, while this lasts; a session of its account."""
    port = free_port()
    command = [sys.executable, "-m", "streaming_assets.cli", "superset", "--port", str(port)]
    variables = {"STREAMING_ASSETS_HOME": str(home), "WEB_CONCURRENCY": "1"}
    with (
        open(home / "log", "w") as log,
        subprocess.Popen(
            [*command, "--environment", environment], stdout=log, stderr=log, env=os.environ | variables
        ) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _await(f"{url}/health", server, home)
            with Asking(url, (home / "superset" / "password").read_text()) as session:
                yield session
        finally:
            server.terminate()
            server.wait(30)


def _await(url: str, server: subprocess.Popen, home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=60).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    told = "".join(file.read_text()[-2000:] for file in (home / "log", *home.glob("superset/set_up.log")))
    raise (FetchError if "could not be installed" in told else AssertionError)(f"it does not answer: {told}")


class Asking(requests.Session):
    """A session that is logged in; paths are of Superset's interface."""

    def __init__(self, url: str, password: str) -> None:
        super().__init__()
        self._url = f"{url}/api/v1"
        account = {"username": "admin", "password": password, "provider": "db"}
        token = self.asked("post", "security/login", json=account)["access_token"]
        self.headers.update({"Authorization": f"Bearer {token}", "Referer": url})
        self.headers["X-CSRFToken"] = self.asked("get", "security/csrf_token/")["result"]

    def asked(self, verb: str, path: str, status: int = 200, **arguments: Any) -> Any:
        answer = self.request(verb, f"{self._url}/{path}", timeout=60, **arguments)
        assert answer.status_code == status, answer.text
        return answer.json()


def _make(folder: Path) -> None:
    """The environment, and a database that Superset has made."""
    home = folder / "home"
    marts = Marts(home)
    marts.publish()
    with served(home, folder / "env"):
        pass
    for name in _KEPT:
        shutil.copy(home / "superset" / name, folder / name)
    shutil.rmtree(home)


@pytest.mark.integration
@pytest.mark.xdist_group("superset")
@pytest.mark.timeout(1200)
def test_it_answers_what_sql_counts_in_the_newest_snapshot(tmp_path: Path) -> None:
    need("uv")
    version = "".join(file.read_text() for file in sorted(FILES.iterdir()) if file.is_file())
    folder = kept(CACHE / "superset", version, _make, "superset.version").parent
    (tmp_path / "superset").mkdir()
    for name in _KEPT:
        shutil.copy(folder / name, tmp_path / "superset" / name)
    marts = Marts(tmp_path)
    marts.publish()
    with served(tmp_path, folder / "env") as superset:
        listed = superset.asked("get", "dataset/?q=(page_size:100)")["result"]
        with duckdb.connect(marts.folder / DATABASE, read_only=True) as connection:
            views = connection.execute("select view_name from duckdb_views() where not internal").fetchall()
        assert {one["table_name"] for one in listed} == {
            "metrics_listens", "metrics_sessions", *(name for (name,) in views)
        }  # fmt: skip
        _metrics_are_those_of_dbt(superset, listed)

        dashboard = superset.asked("get", "dashboard/streaming-assets/charts")["result"]
        assert {chart["slice_name"] for chart in dashboard} == {chart.title for chart in CHARTS}
        _charts_equal_sql(superset, marts)

        marts.run(
            "insert into fact_listen_events by name select * replace ('later' as event_id, 9 as user_id)"
            f" from fact_listen_events where event_datetime::date = '{FIRST}'"
        )
        marts.queue("fact_listen_events", FIRST)
        assert not marts.publish().refused
        listens = _charts_equal_sql(superset, marts)["Listens by day"]
        assert sum(row["listens"] for row in listens) == 3, "of the new snapshot"
        _reads_nothing_else(superset)


def _metrics_are_those_of_dbt(superset: Asking, listed: list[dict[str, Any]]) -> None:
    found = {}
    for one in listed:
        if one["table_name"].startswith("metrics_"):
            for metric in superset.asked("get", f"dataset/{one['id']}")["result"]["metrics"]:
                found[metric["metric_name"]] = metric["description"]
    assert found == {name: metric["description"] for name, metric in metrics().items()}


def _charts_equal_sql(superset: Asking, marts: Marts) -> dict[str, list[dict[str, Any]]]:
    """Each chart's rows, as Superset answers them, which are those of SQL over the snapshot in force."""
    price = {env_name("subscription_price_usd"): settings.get_settings().dashboards.subscription_price_usd}
    of = {cube.name: cube for cube in cubes(price)}
    answers = {}
    for listed in superset.asked("get", "chart/")["result"]:
        answer = superset.asked("get", f"chart/{listed['id']}/data/")["result"][0]
        assert answer["error"] is None
        answers[listed["slice_name"]] = answer["data"]
    for chart in CHARTS:
        cube = of[chart.cube]
        by = {"P1W": "date_trunc('week', {})", "P1D": "date_trunc('day', {})", "": "{}"}[chart.grain]
        sql = {metric.name: metric.sql for metric in cube.metrics}
        columns = ", ".join(sql[name] for name in chart.metrics)
        with duckdb.connect(marts.folder / DATABASE, read_only=True) as connection:
            wanted = connection.execute(
                f"select {by.format(chart.by)}, {columns} from ({cube.sql}) group by all"
            ).fetchall()
        found = [(_at(row[chart.by]), *(row[name] for name in chart.metrics)) for row in answers[chart.title]]
        assert sorted(found) == sorted((_at(at), *map(pytest.approx, rest)) for at, *rest in wanted)
        assert found
    return answers


def _at(value: Any) -> Any:
    """A time as Superset's JSON has it, ms since 1970 UTC, or a name."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).timestamp() * 1000
    return value


def _reads_nothing_else(superset: Asking) -> None:
    (database,) = superset.asked("get", "database/")["result"]
    for sql, told in (
        ("select * from read_text('/etc/hostname')", "disabled by configuration"),
        ("create table mine as select 1 as one", "does not allow for DDL/DML"),
    ):
        query = {"database_id": database["id"], "sql": sql, "schema": "main"}
        answer = superset.asked("post", "sqllab/execute/", 500, json=query)
        assert told in answer["errors"][0]["message"]
