"""The sink's health as Dagster shows it: what counts as a problem, and what a topic's observation carries."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest

from streaming_assets.assets.keys import topic_key
from streaming_assets.checks.sink import CHECK, LATE, build_sink_sensor, observation, sink_problems
from streaming_assets.ingestion.health import PartitionHealth
from streaming_assets.settings import Settings, load_settings

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return load_settings()


def partition(
    *, start: int = 0, end: int = 10, committed: int | None = 10, age: timedelta
) -> PartitionHealth:
    return PartitionHealth("listen_events", 0, start, end, committed, NOW - age)


def problems(settings: Settings, *partitions: PartitionHealth) -> list[str]:
    return sink_problems(settings, {"listen_events": list(partitions)}, NOW)


def test_a_sink_that_keeps_up_has_no_problem(settings: Settings) -> None:
    assert (
        problems(settings, partition(age=2 * LATE), partition(committed=3, age=timedelta(seconds=20))) == []
    )


def test_records_that_wait_too_long_are_named(settings: Settings) -> None:
    (found,) = problems(settings, partition(committed=3, age=2 * LATE))
    assert found == "listen_events[0]: 7 records wait, for 1,800 s or longer"


def test_what_retention_took_is_named(settings: Settings) -> None:
    (found,) = problems(settings, partition(start=8, committed=5, end=10, age=timedelta(0)))
    assert found == "listen_events[0]: retention took 3 records"


def test_what_the_python_sink_says_of_itself(settings: Settings) -> None:
    state = {"error": "disk full", "lost": 1200}
    (settings.home / "sink.json").write_text(json.dumps(state))
    stuck, lost = problems(settings)
    assert stuck == "the sink can't go on: disk full"
    assert lost.startswith("the broker lost 1,200 records")


def test_an_unreadable_state_is_no_problem_of_the_sink(settings: Settings) -> None:
    (settings.home / "sink.json").write_text("{")
    assert problems(settings) == []


@pytest.fixture
def connect() -> Iterator[str]:
    """A Connect worker whose connectors have a failed task."""
    status = {
        "connector": {"state": "RUNNING", "worker_id": "w:1"},
        "tasks": [
            {
                "id": 0,
                "state": "FAILED",
                "worker_id": "w:1",
                "trace": "org.apache.kafka.Oops: no\n\tat x\nCaused by: y",
            }
        ],
    }

    class Worker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(status).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Worker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_failed_task_shows_with_the_first_line_of_its_trace(settings: Settings, connect: str) -> None:
    found = problems(settings.changed(kafka_connect_url=connect))
    assert len(found) == 2, "both connectors"
    assert "task 0 is FAILED on w:1: org.apache.kafka.Oops: no Caused by: y" in found[0]


def test_a_connect_that_does_not_answer_is_one_problem(settings: Settings) -> None:
    (found,) = problems(settings.changed(kafka_connect_url="http://127.0.0.1:9"))
    assert "http://127.0.0.1:9" in found


def test_a_topics_observation_carries_offsets_lag_and_age_of_each_partition() -> None:
    event = observation("listen_events", [partition(committed=4, age=timedelta(seconds=30))], NOW)
    assert event.asset_key == topic_key("listen_events")
    assert event.metadata["lag"].value == 6
    assert event.metadata["end_offsets"].value == 10
    table = event.metadata["partitions"]
    assert isinstance(table, dg.TableMetadataValue)
    (record,) = table.records
    assert record.data == {"partition": 0, "start": 0, "end": 10, "committed": 4, "lag": 6, "age_s": 30}


def test_without_a_broker_the_sensor_says_so(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance) as context:
        result = build_sink_sensor(settings)(context)
    assert isinstance(result, dg.SkipReason)
    assert "streaming-assets broker" in (result.skip_message or "")


@pytest.mark.integration
def test_the_sensor_sees_a_real_broker_and_its_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming_assets_tests.integration.sink_processes import machine, wait_until

    with machine(tmp_path) as running:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("STREAMING_ASSETS_HOME", str(running.home))
        settings = load_settings()
        running.start("broker")
        wait_until(settings.broker_file.exists, "the broker's address")
        running.start("sink")
        recorded = tmp_path / "events.json"
        recorded.write_text('{"ts": 1}\n' * 25)
        running.run("replay", "listen_events", str(recorded), "--to", "kafka")
        sensor = build_sink_sensor(settings)

        def look() -> dict[str, dg.AssetObservation | dg.AssetCheckEvaluation]:
            with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance) as context:
                result = sensor(context)
            assert isinstance(result, dg.SensorResult)
            return {
                event.check_name
                if isinstance(event, dg.AssetCheckEvaluation)
                else event.asset_key.path[-1]: event
                for event in result.asset_events
            }

        wait_until(
            lambda: look()["listen_events_topic"].metadata["lag"].value == 0, "all is in the lake", every=1
        )
        seen = look()
        assert seen["listen_events_topic"].metadata["end_offsets"].value == 25
        assert seen[CHECK].passed
