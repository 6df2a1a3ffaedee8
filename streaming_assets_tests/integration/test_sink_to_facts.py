"""From a real broker to facts: the sink's objects, the sensor that sees them, the run that it asks for."""

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from confluent_kafka import KafkaException

from streaming_assets.automation.jobs import HOURLY_JOB
from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.notifications import NoNotifications
from streaming_assets_tests.graph import listen
from streaming_assets_tests.integration.conftest import KraftBroker
from streaming_assets_tests.integration.sink_processes import lines, machine, wait_until

pytestmark = pytest.mark.integration

USER = 424_242  # the broker is shared with other tests; these listens are this one's
LISTENS = 40


def test_what_the_sink_wrote_becomes_facts_by_the_sensor(
    kraft_broker: KraftBroker, make_graph: Callable, tmp_path: Path
) -> None:
    with suppress(KafkaException):  # another test of this session has made it
        kraft_broker.create_topic("listen_events")
    graph = make_graph("home")
    begun = datetime.now(UTC) - timedelta(days=3)  # events are late; their hour is the broker's
    recorded = tmp_path / "recorded.json"
    recorded.write_text(
        "".join(json.dumps(listen(begun + timedelta(seconds=n), USER, n)) + "\n" for n in range(LISTENS))
    )
    settings = {
        "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS": kraft_broker.bootstrap_servers,
        "STREAMING_ASSETS_SINK_GROUP_ID": f"sink-{uuid.uuid4().hex}",
    }
    with machine(tmp_path, **settings) as here:
        assert here.home == graph.settings.home
        here.start("sink")
        # Each record twice, as a producer's retry gives it: two offsets, one event.
        here.run("replay", "listen_events", str(recorded), str(recorded), "--to", "kafka")
        lake = FolderLake(graph.settings.lake.url)
        wait_until(lambda: _rows_of_user(lake) == 2 * LISTENS, "all records are in the lake", every=0.5)

    sensor = build_object_sensor(graph.settings)
    resources = {"lake": graph.lake, "warehouse": graph.warehouse, "notifications": NoNotifications()}
    with dg.build_sensor_context(graph.instance, resources=resources) as context:
        tick = sensor(context)
    assert isinstance(tick, dg.SensorResult)
    assert tick.run_requests
    for asked in tick.run_requests:
        run = graph.defs.resolve_job_def(HOURLY_JOB).execute_in_process(
            instance=graph.instance, tags=dict(asked.tags), run_config=asked.run_config
        )
        assert run.success

    facts = graph.rows(
        f"select count(*), count(distinct event_id) from fact_listen_events where user_id = {USER}"
    )
    assert facts == [(LISTENS, LISTENS)]
    assert graph.rows(f"select distinct stream_epoch from stg_listen_events where user_id = {USER}") == [
        (None,)
    ]
    checks = {
        event.event_specific_data.check_name: event.event_specific_data.passed
        for event in run.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION"
        and "stg_listen_events" in str(event.event_specific_data)
    }
    assert checks["rows_are_accounted_for"]
    assert checks["offsets_are_contiguous"]


def _rows_of_user(lake: FolderLake) -> int:
    return sum(
        line["value"].get("userId") == USER for _, line in lines(lake) if isinstance(line["value"], dict)
    )
