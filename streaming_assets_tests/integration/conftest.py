"""Real processes that integration tests share: a KRaft broker, a GCS emulator; one of each a test worker."""

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streaming_assets.ingestion.kafka_local import processes
from streaming_assets.ingestion.kafka_local.services import BROKER, EMULATOR, Place
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.settings import PROJECT_ROOT


@pytest.fixture(scope="session")
def kafka_downloads() -> Path:
    """Folder of jars and emulator, kept between test runs: fetching them takes minutes."""
    return PROJECT_ROOT / ".local" / "cache" / "kafka"


@dataclass
class KraftBroker:
    """A real broker on a free port; its data and address outlive `restart` and `kill` + `start`."""

    stack: Stack

    @property
    def bootstrap_servers(self) -> str:
        return self.stack.address(BROKER)

    def start(self) -> None:
        self.stack.up([BROKER])

    def stop(self) -> None:
        self.stack.down([BROKER])

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """End it as a crash would."""
        (state,) = [state for state in self.stack.states() if state.name == BROKER]
        assert state.pid is not None
        os.kill(state.pid, signal.SIGKILL)
        assert processes.wait_until(lambda: not self.bootstrap_servers, 10)

    def create_topic(self, name: str = "", partitions: int = 3, **config: str) -> str:
        """Make a topic with broker timestamps and return its name, a fresh one unless given.

        `config` takes the topic's settings with `_` for `.`, such as `retention_ms="60000"`.
        """
        name = name or f"topic-{uuid.uuid4().hex[:12]}"
        settings = {"message.timestamp.type": "LogAppendTime"}
        settings |= {key.replace("_", "."): value for key, value in config.items()}
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        client.create_topics([NewTopic(name, partitions, 1, config=settings)])[name].result(30)
        return name


@dataclass
class FakeGcs:
    """A GCS emulator; `buckets` is the folder with a folder for each bucket, its objects as plain files."""

    url: str
    buckets: Path
    bucket: str


@pytest.fixture(scope="session")
def kraft_broker(tmp_path_factory: pytest.TempPathFactory, kafka_downloads: Path) -> Iterator[KraftBroker]:
    """A KRaft broker for the session of this test worker; skips where Java or Maven are missing."""
    with _stack(tmp_path_factory.mktemp("kraft"), kafka_downloads, BROKER) as stack:
        yield KraftBroker(stack)


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory, kafka_downloads: Path) -> Iterator[FakeGcs]:
    """A GCS emulator for the session of this test worker; skips where Go is missing.

    Clients find it with `STORAGE_EMULATOR_HOST` set to its `url`.
    """
    with _stack(tmp_path_factory.mktemp("gcs"), kafka_downloads, EMULATOR) as stack:
        yield FakeGcs(stack.address(EMULATOR), stack.place.buckets, stack.place.bucket)


@contextmanager
def _stack(home: Path, downloads: Path, service: str) -> Iterator[Stack]:
    stack = Stack(Place(home, downloads, home / "plugins", home / "buckets", "lake"))
    try:
        (state,) = stack.up([service])
        if state.why:
            pytest.skip(f"{service} can't run here: {state.why}")
        yield stack
    finally:
        stack.down()
