"""The graph of target `gcp` loads where there is no Google: no credentials, no network, and fast."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from streaming_assets.settings import PROJECT_ROOT

pytestmark = pytest.mark.integration

LOAD = """
import socket

def refuse(*_):
    raise SystemExit("the definitions ask the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from streaming_assets.definitions import defs

specs = {spec.key.to_user_string(): spec for spec in defs().resolve_all_asset_specs()}
print(len(specs), *sorted(kind for kind in specs["core/fact_listen_events"].kinds))
"""
SECONDS = 10


def test_definitions_load_without_credentials_in_ten_seconds(tmp_path: Path) -> None:
    inherited = ("STREAMING_ASSETS_", "DAGSTER_", "GOOGLE_", "CLOUDSDK_")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(inherited)} | {
        "HOME": str(tmp_path),
        "STREAMING_ASSETS_HOME": str(tmp_path / "home"),
        "STREAMING_ASSETS_TARGET": "gcp",
        "STREAMING_ASSETS_GCP_PROJECT": "a-project",
        "STREAMING_ASSETS_LAKE_URL": "gs://a-bucket/lake",
    }
    for _ in range(2):  # the first time dbt parses the project, which later starts find done
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        loaded = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", LOAD],
            env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert loaded.returncode == 0, loaded.stderr
    assets, *kinds = loaded.stdout.split()
    assert int(assets) > 40
    assert kinds == ["bigquery", "dbt"]
    # Seconds of the processor, not of the clock: other tests run beside this one.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
