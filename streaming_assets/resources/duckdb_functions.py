"""Functions of the project that its SQL calls on DuckDB; dbt-duckdb loads this module as a plugin (profiles.yml)."""

from contextlib import suppress

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from streaming_assets.text import fold


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection and those that share its database: `fold(varchar) -> varchar`."""
    # A database that another connection of this process holds open knows it already.
    with suppress(duckdb.CatalogException):
        connection.create_function("fold", fold, ["VARCHAR"], "VARCHAR")


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in the module."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called for each database that dbt opens."""
        register(conn)
