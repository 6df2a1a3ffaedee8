"""A lake in a bucket, as DuckDB reads it: how production's hours are looked into on a laptop."""

from functools import cache
from typing import Any

import duckdb


def know_lake(connection: duckdb.DuckDBPyConnection, lake_url: str) -> None:
    """Have a connection, and those that share its database, read the objects of a lake in a bucket by their addresses.

    Objects are seen as they are when the database is opened. Credentials are those of the environment, as for the
    lake's own client.
    """
    if lake_url.startswith("gs://"):
        files = _bucket_files()()
        if not connection.filesystem_is_registered(files.protocol[0]):
            files.invalidate_cache()  # a process has one of it, with listings of when it last had the database open
            connection.register_filesystem(files)


@cache
def _bucket_files() -> type:
    from gcsfs import GCSFileSystem  # costs most of a second to import

    class BucketFiles(GCSFileSystem):
        """Lists a folder when one of its objects is first asked for, instead of asking for each of them."""

        async def _info(self, path: str, *args: Any, **kwargs: Any) -> Any:
            folder = self._parent(self._strip_protocol(path))
            if "/" in folder and self._ls_from_cache(folder) is None:
                await self._list_objects(folder)
            return await super()._info(path, *args, **kwargs)

    return BucketFiles
