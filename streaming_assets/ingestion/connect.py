"""Kafka Connect's settings: worker and connectors of every environment."""

from collections.abc import Mapping

from streaming_assets.settings import PROJECT_ROOT

CONNECT_FILES = PROJECT_ROOT / "kafka" / "connect"

# The rule of the worker's heap, measured: docs/kafka.md, "Heap".
WORKER_BASE_MIB = 256
CATCH_UP_RECORDS_PER_SECOND = 36_000
HEAP_BYTES_PER_RECORD = 2_500


def worker_heap_mib(flush_seconds: float, records_per_second: int = CATCH_UP_RECORDS_PER_SECOND) -> int:
    """Heap, MiB, that a worker needs for the records that it holds between two flushes."""
    held = records_per_second * flush_seconds * HEAP_BYTES_PER_RECORD
    return WORKER_BASE_MIB + round(held / 2**20)


def worker_properties(overrides: Mapping[str, str]) -> str:
    """The worker's properties file: kafka/connect/worker.properties, then `overrides`, which win."""
    lines = [(CONNECT_FILES / "worker.properties").read_text(), "# of this environment"]
    return "\n".join([*lines, *(f"{name}={value}" for name, value in overrides.items())]) + "\n"
