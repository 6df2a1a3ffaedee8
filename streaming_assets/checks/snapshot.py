"""The check of the published snapshot against the marts: asked for by hand, and reported by each publication."""

from collections.abc import Collection

import dagster as dg

from streaming_assets.assets.serving import ALL_PUBLISHED, SHOWN, unpublished
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.published.tables import PublishedTable
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import Warehouse


def build_snapshot_check(tables: Collection[PublishedTable], settings: Settings) -> dg.AssetChecksDefinition:
    """The snapshot held to the marts of `tables`, without publishing anything."""

    @dg.multi_asset_check(name="snapshot_check", specs=[ALL_PUBLISHED], pool=WAREHOUSE_POOL)
    def snapshot_check(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        with warehouse.exclusive():
            found = unpublished(settings.published_dir, tables, warehouse)
        return dg.AssetCheckResult(
            asset_key=ALL_PUBLISHED.asset_key,
            check_name=ALL_PUBLISHED.name,
            passed=not found,
            metadata={"findings": len(found), "first_findings": found[:SHOWN]},
        )

    return snapshot_check
