"""A lake in a Google Cloud Storage bucket."""

from collections.abc import Callable, Iterator
from functools import cached_property

from google.api_core.exceptions import GoogleAPIError, NotFound, PreconditionFailed
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.retry import DEFAULT_RETRY

from streaming_assets.lake.store import LakeError, LakeObject

_CONTENT_TYPE = "application/octet-stream"  # gzip is the content here, not an encoding of it
_FIELDS = "items(name,size,generation,crc32c),nextPageToken"
_RETRY = DEFAULT_RETRY.with_timeout(30)  # s; whoever writes has a policy of its own beyond that
_ERRORS = (GoogleAPIError, GoogleAuthError, OSError)  # OSError: the connection's own


class BucketLake:
    """Objects below `gs://bucket[/prefix]`; the client honours `STORAGE_EMULATOR_HOST`."""

    readers = 8  # of the client's ten connections

    def __init__(self, url: str, connect: Callable[[], storage.Client] = storage.Client) -> None:
        """`connect` makes the client, when it is first needed."""
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        self._root = f"gs://{bucket}/"
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._bucket_name = bucket
        self._connect = connect

    @cached_property
    def _bucket(self) -> storage.Bucket:
        try:
            client = self._connect()
        except _ERRORS as error:
            raise LakeError(f"can't open {self._root}: {error}") from error
        return client.bucket(self._bucket_name)

    def list(
        self, prefix: str, start: str = "", end: str = "", faults: dict[str, str] | None = None
    ) -> Iterator[LakeObject]:
        try:
            blobs = self._bucket.client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                start_offset=self._prefix + start if start else None,
                end_offset=self._prefix + end if end else None,
                fields=_FIELDS,
            )
            for blob in blobs:
                name = str(blob.name).removeprefix(self._prefix)
                content = f"crc32c:{blob.crc32c}" if blob.crc32c else None
                yield LakeObject(name, int(blob.size or 0), int(blob.generation or 0), content)
        except _ERRORS as error:
            raise LakeError(f"can't list {self.uri(prefix)}: {error}") from error

    def read(self, name: str) -> bytes:
        try:
            return self._bucket.blob(self._prefix + name).download_as_bytes(raw_download=True)
        except _ERRORS as error:
            raise LakeError(f"can't read {self.uri(name)}: {error}") from error

    def write(self, name: str, data: bytes) -> None:
        self._upload(name, data)

    def write_if_absent(self, name: str, data: bytes) -> bool:
        try:
            self._upload(name, data, generation=0)  # 0: only if there is none
        except PreconditionFailed:
            return False
        return True

    def replace(self, name: str, data: bytes, generation: int) -> bool:
        try:
            self._upload(name, data, generation)
        except PreconditionFailed:
            return False
        return True

    def remove(self, name: str, generation: int) -> bool:
        try:
            self._bucket.blob(self._prefix + name).delete(if_generation_match=generation, retry=_RETRY)
        except (NotFound, PreconditionFailed):
            return False
        except _ERRORS as error:
            raise LakeError(f"can't remove {self.uri(name)}: {error}") from error
        return True

    def uri(self, name: str) -> str:
        return f"{self._root}{self._prefix}{name}"

    def _upload(self, name: str, data: bytes, generation: int | None = None) -> None:
        try:
            blob = self._bucket.blob(self._prefix + name)
            # Writing the same bytes again does no harm, so any upload may be repeated.
            blob.upload_from_string(
                data, content_type=_CONTENT_TYPE, if_generation_match=generation, retry=_RETRY
            )
        except PreconditionFailed:
            raise
        except _ERRORS as error:
            raise LakeError(f"can't write {self.uri(name)}: {error}") from error
