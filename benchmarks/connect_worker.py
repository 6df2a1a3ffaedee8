"""What a Kafka Connect worker with the Aiven GCS sink needs: heap a record, rate, CPU, memory, time to recover.

    python benchmarks/connect_worker.py

Needs the sink's plugin (STREAMING_ASSETS_KAFKA_PLUGINS, docs/kafka.md). Runs broker, emulator and worker of
`streaming-assets kafka up` in a temporary folder; takes two to five minutes. The results that docs/kafka.md
quotes are in README.md beside this file.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer

from streaming_assets.ingestion import connect
from streaming_assets.ingestion.connect import SINK, consumer_group, worker_heap_mib
from streaming_assets.ingestion.connect_rest import ConnectRest
from streaming_assets.ingestion.health import partitions_health
from streaming_assets.ingestion.kafka_local import processes, setup
from streaming_assets.ingestion.kafka_local.downloads import sink_plugin
from streaming_assets.ingestion.kafka_local.services import BROKER, EMULATOR, SERVICES, WORKER
from streaming_assets.ingestion.kafka_local.stack import Stack
from streaming_assets.settings import Settings, load_settings

TOPIC = "page_view_events"
HELD_RECORDS = 300_000
BACKLOG_RECORDS = 800_000
FLUSH_SECONDS = 10.0
KILLS = 3


def main() -> None:
    settings = load_settings()
    assert settings.kafka.plugins
    sink_plugin(settings.kafka.plugins)
    base = setup.place_of(settings)
    with tempfile.TemporaryDirectory(prefix="connect-worker-") as folder:
        for measure in (heap_a_record, catching_up, recovery):
            home = Path(folder) / measure.__name__
            place = replace(
                base, home=home, buckets=home / "buckets", bucket="lake", flush_seconds=FLUSH_SECONDS
            )
            stack = Stack(place, lambda message: None)
            try:
                measure(stack, settings)
            finally:
                stack.down()
                shutil.rmtree(home, ignore_errors=True)


def heap_a_record(stack: Stack, settings: Settings) -> None:
    """Live heap of a worker that holds `HELD_RECORDS`, since its first flush is an hour away."""
    bootstrap = broker(stack, settings)
    size = produce(bootstrap, HELD_RECORDS)
    place = replace(stack.place, flush_seconds=3600.0)
    ports = {WORKER: processes.free_port(), BROKER: int(bootstrap.rpartition(":")[2])}
    launch = SERVICES[WORKER].prepare(place, ports, print)
    command = ["-Xmx4g" if part.startswith("-Xmx") else part for part in launch.command]
    mark = processes.spawn(command, place.log(WORKER), launch.environment)
    try:
        processes.wait_ready(
            WORKER, mark, lambda: SERVICES[WORKER].ready(place, ports), place.log(WORKER), 90
        )
        _, empty = live(mark.pid)
        connectors(stack, settings, SERVICES[WORKER].address(ports))
        # Some are flushed when the tasks share out the partitions, so not all are held in the end.
        held, heap, before = 0, 0, -1
        while held == 0 or held != before:
            time.sleep(5)
            before, (held, heap) = held, live(mark.pid)
        print(
            f"heap: {(heap - empty) / held:,.0f} bytes a record of {size:,.0f} bytes "
            f"({held:,} held, {empty / 2**20:,.0f} MiB without any)"
        )
    finally:
        processes.stop(mark, 1)


def catching_up(stack: Stack, settings: Settings) -> None:
    """Rate, CPU and memory on a backlog, with the heap of the rule."""
    bootstrap = broker(stack, settings)
    produce(bootstrap, BACKLOG_RECORDS)
    stack.up([WORKER])
    pid = pid_of(stack)
    before = cpu_seconds(pid)
    connectors(stack, settings, stack.address(WORKER))
    began = time.monotonic()
    assert processes.wait_until(lambda: committed(bootstrap) >= BACKLOG_RECORDS, 300), stack.states()
    seconds = time.monotonic() - began
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert peak
    print(
        f"backlog of {BACKLOG_RECORDS:,}: {BACKLOG_RECORDS / seconds:,.0f} records/s, "
        f"{(cpu_seconds(pid) - before) / BACKLOG_RECORDS * 1e6:.1f} CPU s a million, "
        f"peak {int(peak[1]) / 1024:,.0f} MiB with -Xmx{worker_heap_mib(FLUSH_SECONDS)}m, "
        f"a flush every {FLUSH_SECONDS:g} s"
    )


def recovery(stack: Stack, settings: Settings) -> None:
    """From SIGKILL of the worker, started again at once as a supervisor would, to its next commit."""
    bootstrap = broker(stack, settings)
    stack.up([WORKER])
    connectors(stack, settings, stack.address(WORKER))
    produce(bootstrap, 30_000)
    assert processes.wait_until(lambda: committed(bootstrap) >= 30_000, 60)
    times = []
    for _ in range(KILLS):
        os.kill(pid_of(stack), signal.SIGKILL)
        began = time.monotonic()
        end = committed(bootstrap)
        produce(bootstrap, 3_000)
        stack.up([WORKER])
        assert processes.wait_until(lambda end=end: committed(bootstrap) >= end + 3_000, 120)
        times.append(time.monotonic() - began)
    print(f"recovery of a killed worker: {', '.join(f'{seconds:.0f} s' for seconds in times)}")


def broker(stack: Stack, settings: Settings) -> str:
    stack.up([BROKER, EMULATOR])
    setup.make_topics(stack, settings, lambda message: None)
    return stack.address(BROKER)


def connectors(stack: Stack, settings: Settings, url: str) -> None:
    ConnectRest(url).apply(connect.connectors("local", settings, setup.connector_values(stack)))


def produce(bootstrap: str, count: int) -> float:
    """Send page views as eventsim makes them; their mean size in bytes."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "queue.buffering.max.messages": 200_000, "linger.ms": 50}
    )
    size = 0
    for number in range(count):
        value = json.dumps(page_view(number), separators=(",", ":")).encode()
        size += len(value)
        while True:
            try:
                producer.produce(TOPIC, value, key=str(number % 5000).encode())
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    return size / count


def page_view(number: int) -> dict[str, object]:
    return {
        "ts": 1743465647000 + number,
        "sessionId": number // 20,
        "page": "NextSong",
        "auth": "Logged In",
        "method": "PUT",
        "status": 200,
        "level": "paid" if number % 3 else "free",
        "itemInSession": number % 20,
        "city": "Marine City",
        "zip": "48039",
        "state": "MI",
        "userAgent": '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 Chrome/36.0.1985.143 Safari/537.36"',
        "lon": -82.546478,
        "lat": 42.692907,
        "userId": number % 5000,
        "lastName": "Pierce",
        "firstName": "Grace",
        "gender": "F",
        "registration": 1593530871000,
    }


def live(pid: int) -> tuple[int, int]:
    """(records held, bytes of all live objects); the histogram collects garbage first."""
    listed = subprocess.run(
        ["jcmd", str(pid), "GC.class_histogram"], capture_output=True, text=True, check=True
    )
    total = re.search(r"^Total\s+\d+\s+(\d+)", listed.stdout, re.MULTILINE)
    records = re.search(r"^\s*\d+:\s+(\d+)\s+\d+\s+\S+\.InternalSinkRecord\b", listed.stdout, re.M)
    assert total
    return int(records[1]) if records else 0, int(total[1])


def committed(bootstrap: str) -> int:
    found = partitions_health({"bootstrap.servers": bootstrap}, consumer_group(SINK), [TOPIC])
    return sum(there.committed_offset or 0 for there in found[TOPIC])


def pid_of(stack: Stack) -> int:
    (pid,) = [state.pid for state in stack.states() if state.name == WORKER]
    assert pid
    return pid


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
