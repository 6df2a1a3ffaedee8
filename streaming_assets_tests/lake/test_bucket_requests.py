"""What the lake asks of Cloud Storage, held to the interface's own description."""

from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from streaming_assets.lake.bucket import BucketLake
from streaming_assets.lake.store import LakeError, LakeObject
from streaming_assets_tests.google_rest import Recorder, Sent

NAME = "raw/listen_events/date=2025-03-01 00:00:00+00/0000000000-00000000000000000000.gz"


class Storage:
    """A bucket that gives out two pages of names, and whose objects exist or don't."""

    def __init__(self) -> None:
        self.exists = False
        self.recorder = Recorder("storage.v1", self.answer)
        client = storage.Client(project="p", credentials=AnonymousCredentials(), _http=self.recorder)
        self.lake = BucketLake("gs://bucket/lake", lambda: client)

    @property
    def sent(self) -> list[Sent]:
        return self.recorder.sent

    def answer(self, sent: Sent) -> tuple[int, Any]:
        if sent.method == "storage.objects.list":
            number = int(sent.parameters.get("pageToken", "0"))
            item = {"name": f"lake/raw/{number}", "size": "5", "generation": "7", "crc32c": "AAAAAA=="}
            return 200, {"items": [item], **({"nextPageToken": "1"} if number == 0 else {})}
        if sent.method == "storage.objects.delete":
            return (
                (204, None)
                if sent.parameters["ifGenerationMatch"] == "7"
                else (412, {"error": {"code": 412}})
            )
        assert sent.method == "storage.objects.insert"
        if self.exists and "ifGenerationMatch" in sent.parameters:
            return 412, {"error": {"code": 412, "message": "conditionNotMet"}}
        return 200, {"name": sent.parameters.get("name", ""), "generation": "8"}


@pytest.fixture
def bucket() -> Storage:
    return Storage()


def test_a_range_is_listed_by_offsets_in_pages_of_few_fields(bucket: Storage) -> None:
    listed = list(bucket.lake.list("raw/", "raw/a", "raw/z"))
    assert listed == [LakeObject(f"raw/{number}", 5, 7, "crc32c:AAAAAA==") for number in range(2)]
    first, second = bucket.sent
    assert first.parameters["prefix"] == "lake/raw/"
    assert first.parameters["startOffset"] == "lake/raw/a"
    assert first.parameters["endOffset"] == "lake/raw/z"
    assert first.parameters["fields"] == "items(name,size,generation,crc32c),nextPageToken"
    assert second.parameters["pageToken"] == "1"


def test_an_object_is_written_whatever_was_there(bucket: Storage) -> None:
    bucket.lake.write(NAME, b"data")
    (sent,) = bucket.sent
    assert sent.method == "storage.objects.insert"
    assert "ifGenerationMatch" not in sent.parameters
    assert sent.body["name"] == f"lake/{NAME}"


def test_an_object_that_must_be_new_says_so(bucket: Storage) -> None:
    assert bucket.lake.write_if_absent(NAME, b"data") is True
    assert bucket.sent[0].parameters["ifGenerationMatch"] == "0"
    bucket.exists = True
    assert bucket.lake.write_if_absent(NAME, b"data") is False


def test_an_object_is_removed_only_if_it_is_still_of_that_generation(bucket: Storage) -> None:
    assert bucket.lake.remove(NAME, 7) is True
    assert bucket.lake.remove(NAME, 8) is False


def test_a_bucket_without_credentials_is_named() -> None:
    def connect() -> storage.Client:
        raise OSError("no credentials")

    with pytest.raises(LakeError, match="can't open gs://bucket/: no credentials"):
        list(BucketLake("gs://bucket", connect).list("raw/"))
