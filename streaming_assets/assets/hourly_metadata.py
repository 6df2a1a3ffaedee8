"""What a run tells of each of its hours."""

from collections.abc import Mapping
from typing import Any

import dagster as dg


def add_hourly_metadata(
    context: dg.AssetExecutionContext, metadata: Mapping[dg.AssetKey, Mapping[str, Mapping[str, Any]]]
) -> None:
    """Add metadata by asset and partition key to what the step will report."""
    for key, partitions in metadata.items():
        for partition, values in partitions.items():
            context.add_asset_metadata(values, asset_key=key, partition_key=partition)
