"""What the Python sink costs: a backlog in a real broker, carried to a folder by 1, 2 and 3 instances.

    python benchmarks/sink.py [--records 5000000] [--instances 1 2 3] [--downloads FOLDER]

Starts a broker of its own (Java and Maven needed), fills a topic with events of about 450 B, and lets each
number of instances read all of it, in a group of its own. Prints a table, one row a number of instances:

    wall      from the first record read to the last object in place
    sink CPU  user and system time of the sinks alone; the broker's share of the machine is not in it
    peak      greatest resident memory of an instance

and how long a killed sink's partitions wait for its successor, with and without a name for the instance.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streaming_assets.ingestion.kafka_local.services import BROKER, Place
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.settings import PROJECT_ROOT

TOPIC = "page_view_events"
PARTITIONS = 12


def event(number: int) -> bytes:
    """A page view of about 450 B whose numbers and names vary."""
    document = {
        "ts": 1_743_465_600_000 + number * 37,
        "sessionId": number // 17,
        "page": ("NextSong", "Home", "PlayAd", "Roll Advert", "Settings")[number % 5],
        "auth": "Logged In",
        "method": "PUT",
        "status": 200,
        "level": ("free", "paid")[number % 3 == 0],
        "itemInSession": number % 17,
        "city": f"City {number % 8191}",
        "zip": f"{number % 99991:05d}",
        "state": "CA",
        "userAgent": '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0"',
        "lon": -118.0 - number % 7919 / 10_000,
        "lat": 34.0 + number % 7907 / 10_000,
        "userId": number * 2_654_435_761 % 800_000,
        "lastName": f"Name{number % 997}",
        "firstName": f"Given{number % 499}",
        "gender": "F",
        "registration": 1_700_000_000_000 + number % 1_000_003,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def fill(address: str, records: int) -> float:
    """Make the topic and its records; their mean size, bytes."""
    new = NewTopic(TOPIC, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"})
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([new])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": address, "compression.type": "lz4", "linger.ms": 50})
    values = [event(number) for number in range(100_000)]
    for number in range(records):
        while True:
            try:
                producer.produce(TOPIC, values[number % len(values)], partition=number // 100 % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return sum(map(len, values)) / len(values)


def start(address: str, group: str, folder: Path, instance: str) -> subprocess.Popen[bytes]:
    """A sink; its output is in the folder under its process id."""
    environment = os.environ | {
        "STREAMING_ASSETS_HOME": str(folder),
        "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS": address,
        "STREAMING_ASSETS_SINK_GROUP_ID": group,
    }
    command = [sys.executable, "-m", "streaming_assets.cli", "sink"]
    with open(folder / f"{uuid.uuid4().hex}.log", "wb") as log:
        named = ["--instance", instance] if instance else []
        return subprocess.Popen([*command, *named], env=environment, stdout=log)


def wait_assigned(folder: Path, sinks: list[subprocess.Popen[bytes]]) -> None:
    """Wait until one of the folder's logs tells of partitions."""
    while not any("assigned" in log.read_text() for log in folder.glob("*.log")):
        assert all(sink.poll() is None for sink in sinks), "a sink ended"
        time.sleep(0.05)


def recovery(address: str, folder: Path, instance: str) -> float:
    """Seconds from the kill of a sink to its successor's partitions."""
    group = f"bench-{uuid.uuid4().hex}"
    first = start(address, group, folder, instance)
    wait_assigned(folder, [first])
    first.kill()
    first.wait()
    began = time.monotonic()
    for log in folder.glob("*.log"):
        log.unlink()
    second = start(address, group, folder, instance)
    wait_assigned(folder, [second])
    took = time.monotonic() - began
    second.terminate()
    second.wait()
    return took


def measure(address: str, records: int, instances: int, folder: Path) -> str:
    """One row of the table."""
    group = f"bench-{uuid.uuid4().hex}"
    observer = Consumer({"bootstrap.servers": address, "group.id": group})
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    sinks = [start(address, group, folder, str(number)) for number in range(instances)]
    wait_assigned(folder, sinks)
    began = time.monotonic()
    while sum(max(one.offset, 0) for one in observer.committed(partitions, timeout=30)) < records:
        assert all(sink.poll() is None for sink in sinks), "a sink ended"
        time.sleep(0.1)
    wall = time.monotonic() - began
    cpu, peak = 0.0, 0
    for sink in sinks:
        sink.terminate()
        _, _, usage = os.wait4(sink.pid, 0)
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)
    observer.close()
    sizes = [path.stat().st_size for path in folder.rglob("*.gz")]
    return (
        f"| {instances} | {wall:.1f} | {records / wall:,.0f} | {cpu / records * 1e6:.1f} | "
        f"{records / cpu:,.0f} | {peak / 1024:.0f} | {len(sizes)} | {sum(sizes) / 1e6:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--instances", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--downloads", type=Path, default=PROJECT_ROOT / ".local" / "cache" / "kafka")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        stack = Stack(Place(home, arguments.downloads, home / "plugins", home / "buckets", "lake"))
        try:
            stack.up([BROKER])
            address = stack.address(BROKER)
            size = fill(address, arguments.records)
            print(f"{arguments.records:,} records of {size:.0f} B on {os.cpu_count()} CPUs\n")
            print(
                "| instances | wall s | records/s | sink CPU s/M | records/CPU s | peak MB | objects | MB |"
            )
            print("|---|---|---|---|---|---|---|---|")
            for instances in arguments.instances:
                lake = home / f"run-{instances}"
                lake.mkdir()
                print(measure(address, arguments.records, instances, lake), flush=True)
            for instance, kind in (("one", "with"), ("", "without")):
                folder = home / kind
                folder.mkdir()
                took = recovery(address, folder, instance)
                print(f"\na killed sink {kind} --instance: {took:.1f} s to the partitions of its successor")
        finally:
            stack.down()


if __name__ == "__main__":
    main()
