"""Lag and state, asked of an in-process cluster and of a stand-in for Connect's REST interface."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streaming_assets.ingestion import health
from streaming_assets.ingestion.connect_rest import ConnectRest, differences
from streaming_assets.ingestion.health import PartitionHealth
from streaming_assets.ingestion.kafka_files import KafkaSetupError
from streaming_assets.settings import load_settings

NOW = datetime(2025, 4, 1, 12, tzinfo=UTC)


def partition(start: int, end: int, committed: int | None) -> PartitionHealth:
    return PartitionHealth("events", 0, start, end, committed, NOW - timedelta(seconds=90))


@pytest.mark.parametrize(
    ("start", "end", "committed", "lag", "lost"),
    [
        (0, 10, 4, 6, 0),
        (0, 10, 10, 0, 0),
        (0, 10, None, 10, 0),
        (3, 10, None, 7, 0),
        (5, 10, 2, 5, 3),
        (0, 0, None, 0, 0),
    ],
)
def test_lag_counts_kept_records_and_loss_those_that_are_gone(
    start: int, end: int, committed: int | None, lag: int, lost: int
) -> None:
    there = partition(start, end, committed)

    assert (there.lag, there.lost) == (lag, lost)


def test_age_is_of_the_newest_record() -> None:
    assert partition(0, 1, 0).age_seconds(NOW) == 90
    assert PartitionHealth("events", 0, 0, 0, None, None).age_seconds(NOW) is None


def test_the_group_is_that_of_the_sink_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert health.sink_group(load_settings()) == "streaming-assets-sink"

    monkeypatch.setenv("STREAMING_ASSETS_KAFKA_CONNECT_URL", "http://connect:8083")

    assert health.sink_group(load_settings()) == "connect-events-to-lake"


@pytest.fixture
def cluster() -> Iterator[str]:
    """Address of a cluster inside this process."""
    quiet = logging.getLogger("cluster")
    quiet.setLevel(logging.CRITICAL)
    host = Producer({"test.mock.num.brokers": 1}, logger=quiet)
    (broker,) = host.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    host.flush(0)


def test_each_partition_of_each_topic_is_told(cluster: str) -> None:
    before = datetime.now(UTC)
    producer = Producer({"bootstrap.servers": cluster})
    for number in range(10):
        producer.produce("events", b"x", partition=number % 2)
    assert producer.flush(10) == 0
    sink = Consumer({"bootstrap.servers": cluster, "group.id": "sink"})
    sink.commit(offsets=[TopicPartition("events", 0, 3)], asynchronous=False)
    sink.close()

    found = health.partitions_health({"bootstrap.servers": cluster}, "sink", ["events", "unknown"])

    assert found["unknown"] == []
    first, second, *empty = found["events"]
    assert (first.partition, first.start_offset, first.end_offset, first.committed_offset) == (0, 0, 5, 3)
    assert (second.partition, second.end_offset, second.committed_offset, second.lag) == (1, 5, None, 5)
    for there in (first, second):
        assert there.newest is not None
        assert abs(there.newest - before) < timedelta(seconds=30)
    assert all((there.end_offset, there.newest) == (0, None) for there in empty)


def test_a_cluster_that_does_not_answer_is_told_soon() -> None:
    began = time.monotonic()

    with pytest.raises(KafkaSetupError, match=r"127.0.0.1:9 does not answer in 1 s: .* Connection refused"):
        health.partitions_health({"bootstrap.servers": "127.0.0.1:9"}, "sink", ["events"], timeout_seconds=1)

    assert time.monotonic() - began < 10


class StandIn:
    """Answers by path, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.sent: dict[str, Any] = {}
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                stand_in.sent[self.path] = json.loads(body)
                self.answer()

            def answer(self) -> None:
                code, body = stand_in.answers.get(self.path, (404, {"message": "not found"}))
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def connect() -> Iterator[StandIn]:
    stand_in = StandIn()
    thread = threading.Thread(target=stand_in.server.serve_forever, args=(0.05,))
    thread.start()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()
    thread.join()


TRACE = "ConnectException: Exiting task\n\tat a.B.c(B.java)\nCaused by: IOException: no bucket\n\tat d.E.f(E.java)\n"


def test_a_failed_task_is_told_with_its_traces_first_line_and_cause(connect: StandIn) -> None:
    connect.answers["/connectors/events/status"] = (
        200,
        {
            "connector": {"state": "RUNNING", "worker_id": "w1"},
            "tasks": [
                {"id": 0, "state": "RUNNING", "worker_id": "w1"},
                {"id": 1, "state": "FAILED", "worker_id": "w2", "trace": TRACE},
            ],
        },
    )

    there = health.connector_health(ConnectRest(connect.url), "events")

    assert there.problems == [
        "events task 1 is FAILED on w2: ConnectException: Exiting task Caused by: IOException: no bucket"
    ]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((404, {}), "events: there is no such connector"),
        ((200, {"connector": {"state": "RUNNING", "worker_id": "w"}, "tasks": []}), "events: it has no task"),
    ],
)
def test_a_connector_without_work_is_a_problem(
    connect: StandIn, answer: tuple[int, Any], problem: str
) -> None:
    connect.answers["/connectors/events/status"] = answer

    assert health.connector_health(ConnectRest(connect.url), "events").problems == [problem]


def test_running_connectors_have_no_problem(connect: StandIn) -> None:
    running = {"state": "RUNNING", "worker_id": "w"}
    connect.answers["/connectors/events/status"] = (
        200,
        {"connector": running, "tasks": [{"id": 0, **running}]},
    )

    assert health.connector_health(ConnectRest(connect.url), "events").problems == []


def test_only_connectors_that_differ_are_put(connect: StandIn) -> None:
    connect.answers["/connectors/same/config"] = 200, {"name": "same", "topics": "a"}
    connect.answers["/connectors/changed/config"] = 200, {"name": "changed", "topics": "a", "old": "1"}
    connect.answers["/connectors/new/config"] = 404, {}
    wanted = {name: {"topics": "a"} for name in ("same", "changed", "new")}

    assert ConnectRest(connect.url).apply(wanted) == ["changed", "new"]

    assert connect.sent == {f"/connectors/{name}/config": {"topics": "a"} for name in ("changed", "new")}


def test_differences_of_settings() -> None:
    assert differences({"name": "x", "a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == [
        ("b", "2", "3"),
        ("c", None, "4"),
    ]
    assert differences(None, {"a": "1"}) == [("a", None, "1")]


def test_a_refusal_is_told_with_connects_words(connect: StandIn) -> None:
    connect.answers["/connectors/events/status"] = 500, {"message": "no leader"}

    with pytest.raises(KafkaSetupError, match=r"refuses GET /connectors/events/status: no leader"):
        health.connector_health(ConnectRest(connect.url), "events")


def test_a_rebalance_is_waited_for_but_not_for_ever(connect: StandIn) -> None:
    path = "/connectors/new/config"
    connect.answers[path] = 409, {"message": "rebalance is in process"}
    with pytest.raises(KafkaSetupError, match=r"refuses GET .*: rebalance is in process"):
        ConnectRest(connect.url, timeout_seconds=0.2).config("new")

    later = threading.Timer(0.7, lambda: connect.answers.update({path: (200, {"name": "new"})}))
    later.start()

    assert ConnectRest(connect.url).config("new") == {"name": "new"}


def test_a_connect_that_does_not_answer_is_told() -> None:
    with pytest.raises(KafkaSetupError, match="does not answer"):
        health.connector_health(ConnectRest("http://127.0.0.1:9", timeout_seconds=1), "events")


def test_a_missing_plugin_is_told(connect: StandIn) -> None:
    with pytest.raises(KafkaSetupError, match=r"has no plugin GcsSinkConnector"):
        ConnectRest(connect.url).problems({"connector.class": "io.aiven.kafka.connect.gcs.GcsSinkConnector"})
