"""What the calculator of costs multiplies: events a user, bytes of events, what the dbt project reads.

    python benchmarks/cost_measure.py WEEK USERS DAYS CROWD

writes benchmarks/cost_measured.json: how many events a user makes, from the folder WEEK with so many users' events of
so many days; the bytes of events, from the folder CROWD, in which events of very many users are mixed as in the lake;
what each dbt model and test reads. Folders are what `simulate --to files` or eventsim writes.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cost import HERE, MEASURED, TOPICS, Deployment

MOST_MEASURED = 300_000  # events a topic


def measure(week: Path, users: int, days: float, crowd: Path) -> dict[str, Any]:
    """Events of each topic a user and day, their bytes, and the reads of the dbt project's models and tests."""
    deployment = Deployment()
    start = min(json.loads(line)["ts"] for line in _lines(week, "listen_events"))
    topics = {}
    for topic in TOPICS:
        # Registrations of before the start are told of once, not daily.
        count = sum(1 for line in _lines(week, topic) if json.loads(line)["ts"] >= start)
        a_user_day = count / users / days
        a_flush = a_user_day * deployment.mean_users / 86_400 * deployment.flush / deployment.partitions
        lines = list(islice(_lines(crowd, topic), MOST_MEASURED))
        strings = [len(v.encode()) for line in lines for v in json.loads(line).values() if isinstance(v, str)]
        topics[topic] = {
            "events": len(lines),
            "events_a_user_day": round(a_user_day, 5),
            "bytes_a_million": round(sum(map(len, lines)) / len(lines) * 1e6),
            "object_bytes_a_million": round(_object_bytes(lines, max(1, round(a_flush))) / len(lines) * 1e6),
            "column_bytes_a_million": round(_column_bytes(lines) / len(lines) * 1e6),
            "mean_string": round(sum(strings) / len(strings), 1),
        }
    return {"topics": topics, "models": _models()}


def _lines(folder: Path, topic: str) -> Iterator[bytes]:
    for path in sorted(folder.glob(f"{topic}.json*")):
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def _object_bytes(lines: list[bytes], an_object: int) -> int:
    """Bytes of the lake's objects, if each holds that many events."""
    envelope = b'{"value":%s,"offset":%d,"timestamp":"2025-04-01T00:00:00.000Z"}\n'
    wrapped = [envelope % (line, 1_000_000 + offset) for offset, line in enumerate(lines)]
    return sum(
        len(gzip.compress(b"".join(wrapped[at : at + an_object]), 6))
        for at in range(0, len(wrapped), an_object)
    )


def _column_bytes(lines: list[bytes]) -> int:
    """Bytes as Parquet with zstd: a stand-in for BigQuery's compressed storage."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in lines]), sink, compression="zstd")
    return sink.getvalue().size


def _models() -> dict[str, dict[str, Any]]:
    """Each model: its columns' types, the relations that it reads, and those that its tests read, one list each."""
    project = HERE.parent / "dbt_project"
    with tempfile.TemporaryDirectory() as target:
        subprocess.run(
            [
                Path(sys.executable).parent / "dbt",
                "-q",
                "parse",
                "--project-dir",
                project,
                "--profiles-dir",
                project,
            ],
            env={**os.environ, "DBT_TARGET_PATH": target, "DBT_LOG_PATH": target},
            check=True,
        )
        nodes = json.loads((Path(target) / "manifest.json").read_text())["nodes"].values()
    models: dict[str, dict[str, Any]] = {}
    for node in nodes:
        if node["resource_type"] == "model":
            models[node["name"]] = {
                "kind": node["config"]["materialized"],
                "types": [column["data_type"] for column in node["columns"].values() if column["data_type"]],
                "reads": _names(node),
                "tests": [],
            }
    for node in nodes:
        if node["resource_type"] == "test":
            tested = next(name for name in _names(node) if name in models)
            models[tested]["tests"].append(_names(node))
    return dict(sorted(models.items()))


def _names(node: dict[str, Any]) -> list[str]:
    return sorted(
        name.rsplit(".", 1)[1] for name in node["depends_on"]["nodes"] if not name.startswith("macro")
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case [week, users, days, crowd]:
            found = measure(Path(week), int(users), float(days), Path(crowd))
            MEASURED.write_text(json.dumps(found, indent=1) + "\n")
        case _:
            sys.exit(__doc__)
