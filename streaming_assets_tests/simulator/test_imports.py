"""What importing the simulator costs, and what it must not import."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("streaming_assets.simulator.command", ("numpy", "pyarrow", "confluent_kafka", "dagster")),
        ("streaming_assets.simulator.catalogue", ("numpy", "pyarrow", "dagster")),
        ("streaming_assets.simulator.delivery", ("dagster", "google.cloud.storage")),
        ("streaming_assets.simulator.explain", ("dagster",)),
    ],
)
def test_imports(module: str, absent: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_run_does_without_pandas() -> None:
    program = """
import sys
from streaming_assets_tests.simulator.runs import plan, run
assert run(plan(), length=86_400_000).lines["listen_events"]
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
