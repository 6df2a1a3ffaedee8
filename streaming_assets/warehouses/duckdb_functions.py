"""A plugin of dbt-duckdb, named in profiles.yml: what dbt on DuckDB needs of the project, functions and the lake."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from streaming_assets.text import fold
from streaming_assets.warehouses.duckdb_lake import know_lake


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection and those that share its database: `fold(varchar) -> varchar`."""
    # A database that another connection of this process holds open knows it already.
    with suppress(duckdb.CatalogException):
        connection.create_function("fold", fold, ["VARCHAR"], "VARCHAR")


class Plugin(BasePlugin):
    """What dbt-duckdb looks for in the module."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Called first, with what the profile says under `config`."""
        self._lake_url = plugin_config["lake_url"]

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Called before dbt opens a database.

        Raises:
            DbtRuntimeError: the file is missing; DuckDB would make an empty one, and dbt say that all is well. Or
                another process has it; dbt would say so below a traceback.
        """
        if creds.path == ":memory:":
            return
        if not Path(creds.path).exists():
            raise DbtRuntimeError(
                f"There is no warehouse at {Path(creds.path).absolute()}: runs of Dagster make it (`make dev`). Set "
                "STREAMING_ASSETS_HOME or STREAMING_ASSETS_WAREHOUSE_PATH if another is meant"
            )
        try:
            duckdb.connect(creds.path, config=config).close()
        except duckdb.IOException as refusal:
            raise DbtRuntimeError(
                f"{str(refusal).partition('. See also')[0]}. One process at a time has the warehouse: wait until that "
                "one is done, or end it"
            ) from None

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Called for each database that dbt opens."""
        register(conn)
        know_lake(conn, self._lake_url)
