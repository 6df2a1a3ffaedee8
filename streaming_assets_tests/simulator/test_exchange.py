"""Values through mapped files: the same on the other side, and valid while their slot is."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from streaming_assets.simulator.exchange import Inbox, Outbox


def value(size: int) -> dict[str, object]:
    return {"numbers": np.arange(size), "texts": pa.array([f"text {n}" for n in range(size)]), "size": size}


def test_values_arrive_and_stay_for_as_many_as_there_are_slots(tmp_path: Path) -> None:
    outbox, inbox = Outbox(tmp_path, "a", slots=3), Inbox(tmp_path)
    sizes = [5, 2000, 0, 10, 30_000, 7, 40_000, 3]
    held: list[tuple[int, dict]] = []
    for size in sizes:
        held.append((size, inbox.get(outbox.put(value(size)))))
        for expected, found in held[-3:]:
            assert found["size"] == expected
            assert (found["numbers"] == np.arange(expected)).all()
            assert found["texts"].to_pylist() == [f"text {n}" for n in range(expected)]


def test_a_value_without_buffers(tmp_path: Path) -> None:
    outbox, inbox = Outbox(tmp_path, "a", slots=1), Inbox(tmp_path)
    assert inbox.get(outbox.put({"empty": True})) == {"empty": True}


def test_files_are_replaced_not_collected(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "a", slots=2)
    for size in range(0, 60_000, 5_000):
        outbox.put(value(size))
    assert len(list(tmp_path.iterdir())) == 2
