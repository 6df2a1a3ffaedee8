"""The lake in a bucket, against a real server of the storage API."""

import gzip
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streaming_assets.ingestion.lines import data_line
from streaming_assets.lake.expiry import expire, take_out_expired
from streaming_assets.lake.factory import open_lake
from streaming_assets.lake.forgetting import People, take_out
from streaming_assets.lake.lease import Lease
from streaming_assets.lake.names import ObjectName, topic_prefix
from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets_tests.graph import Graph, failures, hour, info, listen, view
from streaming_assets_tests.integration.conftest import FakeGcs
from streaming_assets_tests.lake.contract import A, LakeContract
from streaming_assets_tests.lake.sealed_contract import SealedContract
from streaming_assets_tests.lake.test_expiry import KINDS, NOW, OLD, TOPIC

pytestmark = pytest.mark.integration


@pytest.fixture
def emulator(fake_gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch) -> FakeGcs:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs.url)
    return fake_gcs


class TestBucket(LakeContract):
    @pytest.fixture
    def lake(self, emulator: FakeGcs) -> Lake:
        return open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")


class TestSealedBucket(SealedContract):
    @pytest.fixture
    def lake(self, emulator: FakeGcs) -> SealedLake:
        return open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")


class TestBucketRoot:
    def test_objects_are_plain_files_of_their_names(self, emulator: FakeGcs) -> None:
        lake = open_lake(f"gs://{emulator.bucket}")
        name = A.replace("listen_events", f"topic-{uuid.uuid4().hex}")
        lake.write(name, b"content")
        assert (emulator.buckets / emulator.bucket / name).read_bytes() == b"content"


def test_duckdb_makes_the_tables_of_a_bucket_as_of_a_folder(
    emulator: FakeGcs, tmp_path: Path, parsed_project: Path
) -> None:
    """Lake and warehouse are chosen apart: so production's hours are debugged on a laptop."""
    bucket = f"gs://{emulator.bucket}/{uuid.uuid4().hex}"
    places = [
        Graph(tmp_path / "folder", parsed_project),
        Graph(tmp_path / "bucket", parsed_project, lake_url=bucket),
    ]
    for place in places:
        place.put("listen_events", hour(0), [listen(hour(0)), '{"value": 5', listen(hour(0), item=1)])
        place.put("user_info", hour(0), [info(hour(0))])
        place.put("page_view_events", hour(1), [view(hour(1))])
        result = place.run(0, 2)
        assert result.success, failures(result)
    folder, in_bucket = (place.tables() for place in places)
    assert folder == in_bucket
    assert len(folder["fact_listen_events"]) == 2
    assert len(folder["stg_quarantine"]) == 1
    for place in places:
        place.close()


def test_duckdb_sees_what_came_since_it_opened_its_file_before(emulator: FakeGcs, tmp_path: Path) -> None:
    """A shell keeps its process from step to step, and another run may take in newer objects between them."""
    lake = open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb", 5, lake.uri(""))
    first, later = (ObjectName(TOPIC, hour(0), 0, offset) for offset in range(2))
    lake.write(str(first), b"")
    with warehouse.exclusive():
        warehouse.rows(f"select 1 from glob('{lake.uri(topic_prefix(TOPIC))}/date=*/*.gz')")
    lake.write(str(later), gzip.compress(b'{"offset": 1}\n'))
    with warehouse.exclusive():
        assert warehouse.rows(f"select count(*) from read_json('{lake.uri(str(later))}')") == [(1,)]


def test_people_and_expired_values_leave_a_bucket_and_what_a_sink_writes_meanwhile_is_kept(
    emulator: FakeGcs,
) -> None:
    """Each object is replaced in the generation that was read, or not at all."""
    lake = open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")
    ada, bob = (data_line(b'{"userId":%d,"lastName":"L"}' % user, user, 0) for user in (7, 8))
    name = str(ObjectName(TOPIC, OLD, 0, 7))
    lake.write(name, gzip.compress(ada))
    (stale,) = lake.list("raw/")
    lake.write(name, gzip.compress(ada + bob))
    refused = f"{lake.uri(name)} was written by somebody else meanwhile"
    assert take_out_expired(lake, [stale], NOW, KINDS) == (0, [refused])
    assert expire(lake, NOW, KINDS) == (1, [])
    assert gzip.decompress(lake.read(name)) == (ada + bob).replace(b'"L"', b"null")
    assert expire(lake, NOW, KINDS) == (0, [])
    assert take_out(lake, [stale], People().with_users([7])) == (1, 1, [])
    assert gzip.decompress(lake.read(name)) == bob.replace(b'"L"', b"null")


def test_a_lease_in_a_bucket_is_one_processs_at_a_time(emulator: FakeGcs) -> None:
    lake = open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")
    first, second = (Lease(lake, "leases/p.site.json") for _ in range(2))
    with ThreadPoolExecutor(2) as both:
        had = [found is None for found in both.map(Lease.take, (first, second))]
    assert sorted(had) == [False, True], "of two at once one gets it"
    holder, other = (first, second) if had[0] else (second, first)
    with holder.kept():
        holder.renew()
        holder.check()
        assert "leases/p.site.json ends in 60 s" in (other.take() or "")
    assert list(lake.list("leases/")) == []
    assert other.take() is None


def test_an_absent_bucket_is_named(emulator: FakeGcs) -> None:
    absent = open_lake("gs://absent-bucket")
    with pytest.raises(LakeError, match="gs://absent-bucket/raw"):
        list(absent.list("raw/"))
    with pytest.raises(LakeError, match="gs://absent-bucket/raw"):
        absent.write(A, b"")


def test_more_objects_than_a_page_come_in_one_ordered_listing(emulator: FakeGcs) -> None:
    lake = open_lake(f"gs://{emulator.bucket}/{uuid.uuid4().hex}")
    names = [f"raw/many/{number:04d}" for number in range(1005)]  # the service gives 1000 on one page
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda name: lake.write(name, b""), reversed(names)))
    assert [entry.name for entry in lake.list("raw/many/", "raw/many/01")] == names[100:]
