"""A lake in a bucket, as DuckDB reads it: how production's hours are looked into on a laptop."""

import duckdb


def know_lake(connection: duckdb.DuckDBPyConnection, lake_url: str) -> None:
    """Have a connection, and those that share its database, read the objects of a lake in a bucket by their addresses.

    Credentials are those of the environment, as for the lake's own client.
    """
    if lake_url.startswith("gs://"):
        from gcsfs import GCSFileSystem  # costs most of a second to import

        files = GCSFileSystem()
        if not connection.filesystem_is_registered(files.protocol[0]):
            connection.register_filesystem(files)
