"""The choice of a warehouse by the settings."""

from streaming_assets.lake.factory import lake_of
from streaming_assets.settings import Settings
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.warehouse import Warehouse


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse of the settings; nothing is opened yet."""
    if settings.warehouse.kind == "duckdb":
        return DuckDbWarehouse(
            settings.warehouse.file, settings.warehouse.lock_timeout_seconds, settings.lake.url
        )
    from google.cloud import bigquery  # the Google libraries cost seconds

    from streaming_assets.warehouses.bigquery_warehouse import BigQueryWarehouse

    return BigQueryWarehouse(
        settings.bigquery.project,
        settings.bigquery.dataset,
        lambda: bigquery.Client(project=settings.bigquery.project, location=settings.bigquery.location),
        settings.bigquery.maximum_bytes_billed,
        lake_of(settings).stored,
        settings.warehouse.lock_timeout_seconds,
    )
