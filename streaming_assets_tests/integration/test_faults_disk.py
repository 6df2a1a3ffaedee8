"""A disk that fills: the sink keeps what it could not write in Kafka, a run fails and the next one repairs."""

import os
import resource
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from streaming_assets.ingestion.broker import PARTITIONS
from streaming_assets.ingestion.broker_file import read_broker_file
from streaming_assets.lake.folder import FolderLake
from streaming_assets.settings import env_name
from streaming_assets_tests.graph import Graph, failures, hour, info, listen, view
from streaming_assets_tests.integration.sink_processes import machine, rows, wait_until

pytestmark = pytest.mark.integration

MIB = 1024 * 1024


@dataclass
class SmallDisk:
    """A file system of a few MiB."""

    folder: Path

    def fill(self, leave: int = 0) -> None:
        """Take what is free but for `leave` bytes."""
        room = os.statvfs(self.folder)
        (self.folder / "ballast").write_bytes(bytes(max(room.f_bavail * room.f_frsize - leave, 0)))

    def make_room(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """A function that makes a disk of so many MiB, in memory; skips where it may not."""
    made: list[Path] = []

    def make(size: int) -> SmallDisk:
        folder = tmp_path / f"disk-{len(made)}"
        folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        made.append(folder)
        return SmallDisk(folder)

    yield make
    for folder in made:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def files_up_to(size: int, pid: int = 0) -> Iterator[None]:
    """A process (0: this one) can't write beyond `size` bytes of a file, as on a file system that is full."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def produce(home: Path, count: int) -> None:
    """Events that pack badly, so that their object is large."""
    broker = read_broker_file(home / "broker.json")
    assert broker is not None
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(count):
        producer.produce("user_info", b'{"ts":%d,"pad":"%s"}' % (number, secrets.token_hex(400).encode()))
    assert producer.flush(30) == 0


def committed(home: Path) -> list[int]:
    """Offsets that the sink's group goes on from, of the partitions that it has committed."""
    broker = read_broker_file(home / "broker.json")
    assert broker is not None
    reader = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "streaming-assets-sink"})
    try:
        asked = [TopicPartition("user_info", number) for number in range(PARTITIONS)]
        return [one.offset for one in reader.committed(asked, timeout=10) if one.offset >= 0]
    finally:
        reader.close()


@pytest.mark.parametrize("kind", ["full disk", "limited files"])
def test_what_the_sink_can_not_write_stays_in_kafka_until_there_is_room(
    tmp_path: Path, small_disk: Callable[[int], SmallDisk], kind: str
) -> None:
    disk = small_disk(2) if kind == "full disk" else SmallDisk(tmp_path)
    lake = FolderLake(disk.folder / "lake")
    with machine(tmp_path, **{env_name("lake_url"): str(lake.root)}) as here:
        here.start("broker")
        wait_until((here.home / "broker.json").exists, "the broker's file")
        sink = here.start("sink")
        wait_until(lambda: sink.said("assigned"), "the sink's partitions")
        if kind == "full disk":
            disk.fill()
            produce(here.home, 400)
            wait_until(lambda: here.state().get("error"), "the error in the state file")
            told = "No space left on device"
            assert committed(here.home) == []
            disk.make_room()
        else:
            with files_up_to(20_000, sink.process.pid):
                produce(here.home, 400)
                wait_until(lambda: here.state().get("error"), "the error in the state file")
                told = "File too large"
                assert committed(here.home) == []
        assert sink.said(f"can't write {lake.root / 'raw' / 'user_info'}")
        assert sink.said(f"{told}; trying again in 5 s")
        wait_until(lambda: sum(rows(lake).values()) == 400, "all records in the lake")
        wait_until(lambda: sum(committed(here.home)) == 400, "their offsets are committed")
        assert sink.stop() == 0
    assert set(rows(lake).values()) == {1}
    state = here.state()
    assert (state["error"], state["lost"]) == (None, 0)


def fill_lake(graph: Graph) -> None:
    graph.put("user_info", hour(0), [info(hour(0), user=user) for user in range(500)])
    for number in range(3):
        at = hour(number)
        listens = [
            listen(at, user=user, item=number, song=secrets.token_hex(60), artist=secrets.token_hex(60))
            for user in range(8000)
        ]
        graph.put("listen_events", at, listens, 8000 * number)
        graph.put(
            "page_view_events", at, [view(at, user=user, item=number) for user in range(500)], 500 * number
        )


@pytest.mark.parametrize("kind", ["full disk", "limited files"])
def test_a_run_without_room_for_the_warehouse_fails_and_the_next_repairs(
    tmp_path: Path, make_graph: Callable[..., Graph], small_disk: Callable[[int], SmallDisk], kind: str
) -> None:
    disk = small_disk(128) if kind == "full disk" else SmallDisk(tmp_path)
    graph = make_graph("home", warehouse_path=disk.folder / "warehouse.duckdb")
    fill_lake(graph)
    assert graph.run(0, 1).success
    size = graph.warehouse.path.stat().st_size
    if kind == "full disk":
        disk.fill(leave=MIB)
        broken = graph.run(1, 3)
        disk.make_room()
    else:
        with files_up_to(size + MIB):
            broken = graph.run(1, 3)
    assert not broken.success
    assert ("No space left on device" if kind == "full disk" else "File too large") in failures(broken)
    assert str(graph.warehouse.path) in failures(broken)
    assert graph.run(1, 3).success
    other = make_graph("rebuilt", lake_url=graph.settings.lake.url)
    assert other.run(0, 3).success
    assert graph.tables() == other.tables()
