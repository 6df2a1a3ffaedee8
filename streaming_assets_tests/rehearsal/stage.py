"""The system that faults are put into: real broker, emulated bucket behind a gate, small disk, alerts to a webhook."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import dagster as dg

from streaming_assets.checks.hourly import FACT
from streaming_assets.dagster_runtime.runs import ENDED
from streaming_assets.ingestion.clients import client_config
from streaming_assets.ingestion.topics import Change, Topic, apply, connect
from streaming_assets.lake.names import HOUR, floor_hour
from streaming_assets.local.plan import program
from streaming_assets.partitions import key_of
from streaming_assets.settings import PROJECT_ROOT, env_name
from streaming_assets_tests.integration.sink_processes import wait_until
from streaming_assets_tests.rehearsal.gate import Gate, host_of
from streaming_assets_tests.rehearsal.webhook import Webhook
from streaming_assets_tests.soak.reckoning import rows_in_lake
from streaming_assets_tests.soak.system import System
from streaming_assets_tests.soak.traffic import Connection, Record, Sent, read_record

DISK_MIB = 1024
ACKNOWLEDGED_SECONDS = 300
EMULATOR = "STORAGE_EMULATOR_HOST"
STALE_MINUTES = 3
FLUSH_SECONDS = 5.0


class Stage(System):
    """Starts it with `start`, ends it with `stop`.

    Args:
        folder: of everything.
        downloads: of Kafka's jars and the emulator.
    """

    def __init__(self, folder: Path, downloads: Path) -> None:
        self.webhook = Webhook()
        self.gate: Gate | None = None
        super().__init__(
            folder,
            real=True,
            downloads=downloads,
            variables={
                env_name("lake_url"): "gs://lake",
                env_name("alert_addresses"): self.webhook.url,
                env_name("alert_rules"): str(Path(__file__).with_name("rules.yml")),
                env_name("sink_flush_seconds"): str(FLUSH_SECONDS),
                env_name("stale_after_minutes"): str(STALE_MINUTES),
            },
            names=("sink", "dagster", "dashboards"),
        )
        self.repaired_file = folder / "repaired.json"
        self._replayed: list[str] = []  # events that were repaired
        self._traffic: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "kafka").mkdir()
        self.home.mkdir()
        size = f"size={DISK_MIB}m,mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.home)], check=True)
        # Kafka and the bucket have disks of their own, as they have elsewhere.
        (self.home / "kafka").symlink_to(self.folder / "kafka")
        super().start()

    def adopt(self, addresses: Mapping[str, str]) -> None:
        super().adopt(addresses)
        self.gate = Gate(host_of(addresses[EMULATOR]))
        self.environment[EMULATOR] = os.environ[EMULATOR] = self.gate.url

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            if self.gate:
                self.gate.close()
            self.webhook.close()
            if self.home.is_mount():
                subprocess.run(["umount", "--lazy", str(self.home)], check=True)

    def begin_traffic(self) -> None:
        """Have simulated events come from now on."""
        self._traffic = self.spawn(
            "traffic",
            (
                *(sys.executable, "-m", "streaming_assets_tests.soak.traffic"),
                *(str(self.folder / "acknowledged.jsonl"), "25", "1", "clean"),
            ),
        )

    def end_traffic(self) -> None:
        assert self._traffic is not None
        self._traffic.send_signal(signal.SIGTERM)
        assert self._traffic.wait(300) == 0, "the traffic ended with an error, see logs/traffic.log"

    @contextmanager
    def silence(self) -> Iterator[None]:
        """No events come, and no run is left."""
        assert self._traffic is not None
        self._traffic.send_signal(signal.SIGSTOP)
        try:
            self.settle(lambda _: None)
            yield
        finally:
            self._traffic.send_signal(signal.SIGCONT)

    def stamp_records(self, topic: str, by: Literal["CreateTime", "LogAppendTime"]) -> None:
        """Have the broker give records the producer's time, or its own."""
        change = Change(Topic(topic, 1, 1), "message.timestamp.type", "", by)
        (done,) = apply(connect(client_config(self.settings)), [change])
        assert not done.refusal, done.refusal

    def produce(self, topic: str, events: Iterable[Mapping[str, Any]], at: datetime | None = None) -> None:
        """Send events, and put them on record, as the traffic does; `at` is when, where the broker takes our word."""
        with open(self.folder / "injected.jsonl", "a") as file:
            record = Record(file)
            connection = Connection(self.settings, record)
            for event in events:
                connection.send(topic, json.dumps(event), at)
            wait_until(lambda: connection.flush() == 0, "all is acknowledged", ACKNOWLEDGED_SECONDS)

    def sent(self) -> list[Sent]:
        """All that Kafka acknowledged."""
        files = [self.folder / name for name in ("acknowledged.jsonl", "injected.jsonl")]
        return [one for file in files if file.exists() for one in read_record(file)]

    def record(self) -> list[Sent]:
        """All that Kafka acknowledged, and the repaired events that replays put into the lake."""
        replayed = [one for _, one in rows_in_lake(self.lake) if one.stream_epoch]
        assert Counter(one.value for one in replayed) == Counter(self._replayed)
        return self.sent() + replayed

    def rows_of(self, topic: str) -> int:
        """Events of a topic that Kafka acknowledged in the present hour."""
        since = floor_hour(datetime.now(UTC)).timestamp() * 1000
        return sum(one.topic == topic and (one.ms or 0) >= since for one in self.sent())

    def write_repaired(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write the file of repaired events, for a replay into the lake."""
        self.repaired_file.write_text("\n".join(map(json.dumps, events)) + "\n")

    def type(self, command: str) -> tuple[int, str]:
        """Type a command of this project; its exit status and output.

        What is dead starts again by `streaming-assets dev`; here by the service manager, which is told so.
        """
        if command == "streaming-assets dev":
            self.held.clear()
            return 0, ""
        done = subprocess.run(
            program(*shlex.split(command)),
            env=self.environment,
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if str(self.repaired_file) in command and done.returncode == 0:
            self._replayed += self.repaired_file.read_text().splitlines()
        return done.returncode, done.stdout + done.stderr

    def ran_since(self, moment: datetime) -> bool:
        """Whether a run began after a moment and succeeded."""
        found = self.instance.get_run_records(dg.RunsFilter(statuses=ENDED, created_after=moment), limit=20)
        return any(one.dagster_run.status is dg.DagsterRunStatus.SUCCESS for one in found)

    def has_facts_of(self, hour: datetime, since: datetime) -> bool:
        """Whether a run took that hour into the facts after a moment."""
        asked = dg.AssetRecordsFilter(
            asset_key=FACT, asset_partitions=[key_of(hour)], after_timestamp=since.timestamp()
        )
        return bool(self.instance.fetch_materializations(asked, limit=1).records)


def leave_room_in_the_hour(minutes: float) -> None:
    """Wait for the next hour if this one has less than that left."""
    now = datetime.now(UTC)
    if floor_hour(now) + HOUR - now < timedelta(minutes=minutes):
        time.sleep((floor_hour(now) + HOUR - now).total_seconds() + 5)
