"""The graph on a Dagster instance of production: its storages on a real PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml
from sqlalchemy.engine import make_url

from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import key_of
from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.graph import Graph, failures, hour, info, listen, view

pytestmark = pytest.mark.integration

FACT = dg.AssetKey(["core", "fact_listen_events"])
STORAGES = ("run_storage", "event_log_storage", "schedule_storage")
HOURS = 24


@pytest.fixture
def graph(make_graph: Callable[..., Graph], postgres: Callable[[str], str], tmp_path: Path) -> Graph:
    """The graph, with the storages of deploy/dagster.yaml at the test's server."""
    config = yaml.safe_load((PROJECT_ROOT / "deploy" / "dagster.yaml").read_text())
    url = make_url(postgres("graph"))
    database = {
        "scheme": url.drivername,
        "hostname": url.host,
        "port": url.port,
        "username": url.username,
        "password": "",
        "db_name": url.database,
    }
    storages = {name: config[name] | {"config": {"postgres_db": database}} for name in STORAGES}
    home = tmp_path / "instance"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(storages | {"telemetry": {"enabled": False}}))
    graph = make_graph()
    graph.instance.dispose()
    graph.instance = dg.DagsterInstance.from_config(str(home))
    return graph


def test_an_hour_and_a_range_are_run_and_recorded(graph: Graph) -> None:
    graph.put("user_info", hour(0), [info(hour(0))])
    for number in range(HOURS + 1):
        graph.put("listen_events", hour(number), [listen(hour(number), item=number)], offset=number)
        graph.put("page_view_events", hour(number), [view(hour(number), item=number)], offset=number)

    single = graph.run(0, 1)
    assert single.success, failures(single)
    ranged = graph.run(1, HOURS + 1)
    assert ranged.success, failures(ranged)

    assert graph.rows("select count(*), count(distinct event_id) from fact_listen_events") == [
        (HOURS + 1, HOURS + 1)
    ]
    assert type(graph.instance.event_log_storage).__name__ == "BatchedPostgresEventLogStorage"
    wanted = {key_of(hour(0) + number * HOUR) for number in range(HOURS + 1)}
    assert graph.instance.get_materialized_partitions(FACT) == wanted
    for run in (single, ranged):
        record = graph.instance.get_run_by_id(run.run_id)
        assert record is not None
        assert record.status is dg.DagsterRunStatus.SUCCESS
