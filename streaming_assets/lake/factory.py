"""The choice of a lake by its URL: the scheme names the module that serves it."""

from functools import partial

from streaming_assets.lake.sealed import SealedLake
from streaming_assets.lake.store import LakeError
from streaming_assets.settings import Settings


def lake_of(settings: Settings) -> SealedLake:
    """The lake of the settings.

    Raises:
        LakeError: its URL is that of something else.
    """
    return open_lake(settings.lake.url, settings.bigquery.project)


def open_lake(url: str, gcp_project: str = "") -> SealedLake:
    """The lake at `url`: `gs://bucket[/prefix]`, or a folder (made on the first write).

    A bucket's client is made, and credentials are asked for, when it is first used; without `gcp_project` it takes the
    project of its credentials.

    Raises:
        LakeError: it is the address of something else.
    """
    scheme, separator, rest = url.partition("://")
    if separator and (scheme != "gs" or not rest.partition("/")[0]):
        raise LakeError(f"{url!r} is no lake: it must be a folder or gs://bucket[/prefix]")
    if separator:
        from google.cloud import storage  # costs seconds to import

        from streaming_assets.lake.bucket import BucketLake

        return SealedLake(BucketLake(url, partial(storage.Client, gcp_project or None)))
    from streaming_assets.lake.folder import FolderLake

    return SealedLake(FolderLake(url))
