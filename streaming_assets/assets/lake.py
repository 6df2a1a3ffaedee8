"""The lake's prefixes, one for each topic. The sink fills them; the object sensor reports what arrived."""

import dagster as dg

from streaming_assets.assets.keys import OWNERS, prefix_key, topic_key
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.names import topic_prefix


def lake_specs(hours: dg.PartitionsDefinition) -> list[dg.AssetSpec]:
    """A spec for each topic's prefix, partitioned by the ingestion `hours`."""
    return [
        dg.AssetSpec(
            prefix_key(event_type.topic),
            deps=[topic_key(event_type.topic)],
            description=f"Objects under `{topic_prefix(event_type.topic)}date=<hour>/`: gzip, JSON lines, "
            "written by the sink. A partition is reported each time its objects change.",
            group_name="lake",
            kinds={"gzip", "json"},
            owners=OWNERS,
            partitions_def=hours,
        )
        for event_type in LAKE_TYPES
    ]
