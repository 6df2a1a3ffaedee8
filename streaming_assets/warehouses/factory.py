"""The choice of a warehouse by the settings."""

from streaming_assets.settings import Settings
from streaming_assets.warehouses.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.warehouses.warehouse import Warehouse


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse of the settings; nothing is opened yet."""
    if settings.warehouse == "duckdb":
        return DuckDbWarehouse(
            settings.warehouse_file, settings.warehouse_lock_timeout_seconds, settings.lake_url
        )
    from google.cloud import bigquery  # the Google libraries cost seconds

    from streaming_assets.warehouses.bigquery_warehouse import BigQueryWarehouse

    return BigQueryWarehouse(
        settings.gcp_project,
        settings.bigquery_dataset,
        lambda: bigquery.Client(project=settings.gcp_project, location=settings.bigquery_location),
        settings.bigquery_maximum_bytes_billed,
    )
