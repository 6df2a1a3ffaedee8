"""Listings of a bucket with years of hours: as many calls as the look-back window or a thousand objects need."""

import gzip
import os
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from google.cloud import storage

from streaming_assets.automation.sensors import build_object_sensor
from streaming_assets.checks.comparison import compare
from streaming_assets.events import LAKE_TOPICS
from streaming_assets.lake.bucket import BucketLake
from streaming_assets.lake.names import HOUR, ObjectName, floor_hour
from streaming_assets.lake.notifications import NoNotifications
from streaming_assets.partitions import spans
from streaming_assets.settings import Settings
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests.google_rest import Discovery
from streaming_assets_tests.graph import Place
from streaming_assets_tests.integration.conftest import FakeGcs

pytestmark = pytest.mark.integration

HOURS = 20_000
PAGE = 1000  # objects that the service gives in one answer
ATTRIBUTES = "user.metadata"  # where the emulator keeps an object's metadata
EMPTY = gzip.compress(b"", mtime=0)


class Years(Place):
    """A bucket whose topic `listen_events` has an object in each of 20,000 hours, up to the current one."""

    def __init__(self, home: Path, gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(home)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        self.now = floor_hour(datetime.now(UTC))
        prefix = uuid.uuid4().hex
        root = gcs.buckets / gcs.bucket / prefix
        client = storage.Client(project="any")
        names = [
            str(ObjectName("listen_events", self.now - number * HOUR, 0, HOURS - number))
            for number in range(HOURS)
        ]
        BucketLake(f"gs://{gcs.bucket}/{prefix}", lambda: client).write(names[0], EMPTY)
        attributes = os.getxattr(root / names[0], ATTRIBUTES)
        for name in names[1:]:  # as the emulator would write them, a thousand times faster
            path = root / name
            path.parent.mkdir(parents=True)
            path.write_bytes(EMPTY)
            os.setxattr(path, ATTRIBUTES, attributes)
        self.calls: list[str] = []
        request, discovery = client._http.request, Discovery("storage.v1")

        def counted(method: str, url: str, data: Any = None, **options: Any) -> Any:
            self.calls.append(discovery.check(method, url.removeprefix(gcs.url), data).method)
            return request(method, url, data=data, **options)

        monkeypatch.setattr(client._http, "request", counted)
        self.bucket = BucketLake(f"gs://{gcs.bucket}/{prefix}", lambda: client)


@pytest.fixture
def years(tmp_path: Path, fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Years]:
    with closing(Years(tmp_path, fake_gcs, monkeypatch)) as years:
        yield years


def test_calls_follow_the_window_and_not_the_history(years: Years) -> None:
    first_hour = years.now - (HOURS - 1) * HOUR
    settings = Settings(home=years.settings.home, first_hour=first_hour, lookback_hours=48)
    resources = {
        "lake": years.bucket,
        "warehouse": DuckDbWarehouse(settings.warehouse.file, 10),
        "notifications": NoNotifications(),
    }
    with dg.build_sensor_context(years.instance, resources=resources) as context:
        tick = build_object_sensor(settings)(context)
    assert isinstance(tick, dg.SensorResult)
    assert len(tick.asset_events) in (48, 49), "hours of the window, whether or not one has just begun"
    assert years.calls == ["storage.objects.list"] * len(LAKE_TOPICS)

    years.calls.clear()
    found = compare(years.bucket, DuckDbWarehouse(settings.warehouse.file, 10), settings, [])
    assert spans(found.to_run) == [(first_hour, years.now + HOUR)], "the reconciliation sees every hour"
    pages = HOURS // PAGE + len(LAKE_TOPICS)  # one more answer for each topic that has less than a page
    folders = 2  # one for each folder under raw/, and one that finds no more
    assert years.calls == ["storage.objects.list"] * len(years.calls)
    assert len(years.calls) <= pages + folders
