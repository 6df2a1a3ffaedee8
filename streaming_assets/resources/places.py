"""Where lake and warehouse are: the one module that asks for the target."""

from streaming_assets.lake.store import Lake, open_lake
from streaming_assets.resources.duckdb_warehouse import DuckDbWarehouse
from streaming_assets.resources.warehouse import Warehouse
from streaming_assets.settings import Settings


def lake_of(settings: Settings) -> Lake:
    """The lake of the settings; a bucket's client is made, and credentials are asked for, when it is first used.

    Raises:
        LakeError: the lake's URL is of another kind.
    """
    if settings.target == "local":
        return open_lake(settings.lake_url)
    from dagster_gcp.gcs import GCSResource  # the Google libraries cost seconds

    from streaming_assets.lake.bucket import BucketLake

    return BucketLake(settings.lake_url, GCSResource(project=settings.gcp_project).get_client)


def warehouse_of(settings: Settings) -> Warehouse:
    """The warehouse of the settings; nothing is opened yet."""
    if settings.target == "local":
        return DuckDbWarehouse(settings.warehouse_file, settings.warehouse_lock_timeout_seconds)
    from google.cloud import bigquery

    from streaming_assets.resources.bigquery_warehouse import BigQueryWarehouse

    return BigQueryWarehouse(
        settings.gcp_project,
        settings.bigquery_dataset,
        lambda: bigquery.Client(project=settings.gcp_project, location=settings.bigquery_location),
        settings.bigquery_maximum_bytes_billed,
    )
