"""`streaming-assets simulate`, as it is called: options, destinations, signals."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import typer
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from typer.testing import CliRunner

from streaming_assets.events import DEFAULT_TOPICS, TOPICS
from streaming_assets.ingestion.broker import embedded_cluster
from streaming_assets.lake.names import parse_object
from streaming_assets.settings import load_settings
from streaming_assets.simulator.command import simulate
from streaming_assets.simulator.making.site import default_config
from streaming_assets_tests.simulator.configs import with_dead_advertisement, write_config

app = typer.Typer()
app.command()(simulate)
OPTIONS = ["--users", "60", "--growth-rate", "3", "--start", "2025-04-01T00:00:00", "--seed", "5"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMING_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: object, fails: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == fails, result.output
    return result.output


def files(*arguments: object, topics: tuple[str, ...] = DEFAULT_TOPICS) -> dict[str, bytes]:
    call(*OPTIONS, "--to", "files", *arguments)
    folder = Path("output")
    found = {path.name.removesuffix(".json"): path.read_bytes() for path in folder.iterdir()}
    assert set(found) == set(topics)
    return found


def test_files_of_the_default_topics() -> None:
    found = files("--end", "2025-04-08")
    for topic, data in found.items():
        assert data.endswith(b"\n") or not data
        assert all(isinstance(json.loads(line), dict) for line in data.splitlines()), topic
    assert len(found["listen_events"].splitlines()) > 100


def test_files_are_replaced_and_resumed() -> None:
    whole = files("--end", "2025-04-08", "--all-topics", topics=TOPICS)
    files("--end", "2025-04-05T07:00:00", "--all-topics", topics=TOPICS)
    resumed = files(
        "--end", "2025-04-08", "--all-topics", "--resume-from", "2025-04-05T07:00:00", topics=TOPICS
    )
    assert resumed == whole


@pytest.mark.integration
def test_files_by_several_processes() -> None:
    whole = files("--end", "2025-04-08", "--all-topics", topics=TOPICS)
    halt = "2025-04-05T07:00:00"
    files("--end", halt, "--all-topics", "--processes", 2, topics=TOPICS)
    assert whole == files(
        "--end", "2025-04-08", "--all-topics", "--resume-from", halt, "--processes", 3, topics=TOPICS
    )


def test_files_by_day() -> None:
    whole = files("--end", "2025-04-04")
    call(*OPTIONS, "--end", "2025-04-04", "--to", "files", "--save-daily", "--output", "daily")
    for topic in DEFAULT_TOPICS:
        parts = sorted(Path("daily").glob(f"{topic}_*.json"))
        assert b"".join(part.read_bytes() for part in parts) == whole[topic]
        for part in parts:
            day = part.stem.removeprefix(f"{topic}_")
            for line in part.read_bytes().splitlines():
                assert str(datetime.fromtimestamp(orjson.loads(line)["ts"] / 1000, UTC).date()) == day


def test_chosen_topics_and_user_ids() -> None:
    found = files(
        "--end", "2025-04-08", "--topics", "listen_events,user_info", "--first-user-id", "500", "--tag", "t",
        topics=("listen_events", "user_info"),
    )  # fmt: skip
    users = [orjson.loads(line) for line in found["user_info"].splitlines()]
    assert min(user["userId"] for user in users) > 500
    assert {user["tag"] for user in users} == {"t"}


def test_lake_holds_the_same_events_at_their_hours() -> None:
    whole = files("--end", "2025-04-08")
    call(*OPTIONS, "--end", "2025-04-08", "--to", "lake", "--output", "lake")
    epochs = set()
    for topic in DEFAULT_TOPICS:
        values, offset = [], 0
        for path in sorted(Path("lake/raw", topic).rglob("*.gz")):
            name = parse_object(path.relative_to("lake").as_posix())
            assert name is not None
            assert (name.topic, name.partition, name.start_offset) == (topic, 0, offset)
            epochs.add(name.stream_epoch)
            data = gzip.decompress(path.read_bytes())
            assert data.endswith(b"\n")
            for line in data.splitlines():
                record = orjson.loads(line)
                assert list(record) == ["value", "offset", "timestamp"]
                assert record["offset"] == offset
                stamp = datetime.fromisoformat(record["timestamp"])
                at = datetime.fromtimestamp(record["value"]["ts"] / 1000, UTC)
                assert stamp == max(at, datetime(2025, 4, 1, tzinfo=UTC))
                assert record["timestamp"] == stamp.strftime("%Y-%m-%dT%H:%M:%S.000Z")
                assert name.hour <= stamp < name.hour + timedelta(hours=1)
                values.append(orjson.dumps(record["value"]))
                offset += 1
        assert values == [orjson.dumps(orjson.loads(line)) for line in whole[topic].splitlines()]
    (stream_epoch,) = epochs
    assert stream_epoch.startswith("sim-5-20250401T000000-")


def test_lake_resumes_with_the_offsets_that_follow() -> None:
    def objects(*arguments: str) -> dict[str, bytes]:
        call(*OPTIONS, "--to", "lake", *arguments)
        return {str(p.relative_to(arguments[-1])): p.read_bytes() for p in Path(arguments[-1]).rglob("*.gz")}

    whole = objects("--end", "2025-04-06", "--output", "whole")
    objects("--end", "2025-04-04T05:00", "--output", "parts")
    parts = objects("--end", "2025-04-06", "--resume-from", "2025-04-04T05:00", "--output", "parts")
    assert parts == whole


def test_lake_never_overwrites_another_simulation() -> None:
    call(*OPTIONS, "--end", "2025-04-02", "--to", "lake")
    before = {p: p.read_bytes() for p in Path("home/lake").rglob("*.gz")}
    assert before
    call(*OPTIONS, "--users", "61", "--end", "2025-04-02", "--to", "lake")
    after = {p: p.read_bytes() for p in Path("home/lake").rglob("*.gz")}
    assert {p: after[p] for p in before} == before
    assert len(after) > len(before)


@pytest.mark.parametrize("rows", [1, 7])
def test_lake_objects_are_cut_at_the_same_rows(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming_assets.simulator import run
    from streaming_assets.simulator.writers import lake

    monkeypatch.setattr(lake, "ROWS_PER_OBJECT", rows)
    call(*OPTIONS, "--end", "2025-04-03", "--to", "lake", "--output", "a")
    monkeypatch.setattr(run, "STEPS_PER_WINDOW", 11)
    call(*OPTIONS, "--end", "2025-04-03", "--to", "lake", "--output", "b")
    a, b = ({p.relative_to(d): p.read_bytes() for p in Path(d).rglob("*.gz")} for d in "ab")
    assert a == b
    assert all(len(gzip.decompress(data).splitlines()) <= rows for data in a.values())


def test_configuration_gives_what_options_leave_out() -> None:
    document = default_config() | {
        "n-users": 40.0,
        "first-user-id": 100,
        "seed": 5,
        "start-date": "2025-04-01T00:00:00",
        "end-date": "2025-04-03T00:00:00",
        "tag": "configured",
    }
    path = write_config(document, Path("site.json"))
    call("--config", path, "--to", "files")
    users = [orjson.loads(line) for line in Path("output/user_info.json").read_bytes().splitlines()]
    assert {user["tag"] for user in users} == {"configured"}
    assert 100 < max(user["userId"] for user in users) <= 140
    call("--config", path, "--to", "files", "--users", "400", "--tag", "mine")
    users = [orjson.loads(line) for line in Path("output/user_info.json").read_bytes().splitlines()]
    assert {user["tag"] for user in users} == {"mine"}
    assert max(user["userId"] for user in users) > 300


def test_environment_of_the_reference_run(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "NUM_USERS": "50",
        "START_TIME": "2025-04-01T00:00:00",
        "END_TIME": "2025-04-03",
        "RANDOM_SEED": "4",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"EVENTSIM_{name}", value)
    call("--to", "files", "--output", "environment")
    for name in values:
        monkeypatch.delenv(f"EVENTSIM_{name}")
    call(
        "--users", 50, "--start", "2025-04-01", "--end", "2025-04-03", "--seed", 4, "--to", "files",
        "--output", "options",
    )  # fmt: skip
    for topic in DEFAULT_TOPICS:
        assert (
            Path("environment", f"{topic}.json").read_bytes() == Path("options", f"{topic}.json").read_bytes()
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "files", "--start", "soon"], "--start: 'soon' is no time"),
        (["--to", "files", "--start", "2025-04-02", "--end", "2025-04-01"], "--end must be later"),
        (["--to", "files", "--topics", "listens"], "'listens' is no topic"),
        ([], "--to must say"),
    ],
)
def test_bad_options(arguments: list[str], message: str) -> None:
    assert message in call(*arguments, fails=2)


def test_bad_configuration() -> None:
    document = default_config()
    document["transitions"][0]["p"] = 3
    message = call("--config", write_config(document, Path("site.json")), "--to", "files", fails=2)
    assert "transitions[0]: p is 3" in message
    assert not Path("output").exists()


def test_output_that_cannot_be_written() -> None:
    Path("output").write_text("a file, not a folder")
    assert "can't write to output" in call(*OPTIONS, "--end", "2025-04-02", "--to", "files", fails=1)


def test_explain() -> None:
    output = call("--explain", "--users", 1000)
    assert "3.235" in output
    assert "85.7%" in output
    path = write_config(with_dead_advertisement(default_config()), Path("site.json"))
    output = call("--explain", "--config", path)
    assert "2.850" in output
    assert "no way out" in " ".join(output.split())


def test_no_broker_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from streaming_assets.ingestion import clients

    monkeypatch.setattr(clients, "BROKER_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(clients.embedded_broker, "__defaults__", (0.1,))
    assert "no embedded broker is running" in call(*OPTIONS, "--end", "2025-04-02", "--to", "kafka", fails=1)


@pytest.mark.integration
def test_kafka_has_all_events() -> None:
    whole = files("--end", "2025-04-04")
    with embedded_cluster(load_settings()) as broker:
        call(*OPTIONS, "--end", "2025-04-04", "--to", "kafka")
        for topic in DEFAULT_TOPICS:
            lines = whole[topic].splitlines()
            assert sorted(_consume(broker.bootstrap_servers, topic, len(lines))) == sorted(lines)


def _consume(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < count and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                assert message.key() is None
                values.append(message.value() or b"")
        return values
    finally:
        consumer.close()


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_real_time_ends_on_a_signal_and_goes_on(number: signal.Signals, home: Path) -> None:
    busy = {"beta": 300.0, "session-gap": 1, "alpha": 2.0, "damping": 0.0, "weekend-damping": 0.0}
    config = default_config() | busy
    write_config(config, Path("busy.json"))
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    options = ["--config", "busy.json", "--users", "500", "--seed", "1", "--start", start.isoformat()]
    process = subprocess.Popen(
        [sys.executable, "-m", "streaming_assets.cli", "simulate", *options, "--continuous", "--to", "files"],
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        cwd=home,
        text=True,
    )
    try:
        caught_up = _until_written(home / "output" / "page_view_events.json", time.time() - 5)
        time.sleep(2.5)
        process.send_signal(number)
        asked = time.monotonic()
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert caught_up
    assert process.returncode == 0, errors
    assert time.monotonic() - asked < 10
    halted = errors.split("--resume-from ")[1].split()[0]
    halt = datetime.fromisoformat(halted).timestamp()
    times = [
        orjson.loads(x)["ts"] / 1000 for x in Path("output/page_view_events.json").read_bytes().splitlines()
    ]
    assert times[-1] < halt <= time.time()
    assert f"--start {start.isoformat().removesuffix('+00:00')}Z" in errors
    end = (datetime.fromisoformat(halted) + timedelta(minutes=3)).isoformat()
    call(*options, "--end", end, "--resume-from", halted, "--to", "files")
    call(*options, "--end", end, "--to", "files", "--output", "whole")
    for topic in DEFAULT_TOPICS:
        assert Path(f"output/{topic}.json").read_bytes() == Path(f"whole/{topic}.json").read_bytes()


def _until_written(path: Path, moment: float) -> bool:
    """Whether an event of `moment` (seconds since 1970) or later is in the file within 60 s."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.5)
        lines = path.read_bytes().splitlines() if path.exists() else []
        if len(lines) > 1 and orjson.loads(lines[-2])["ts"] / 1000 >= moment:
            return True
    return False
