"""The keys of assets that more than one module names. A key is its layer and the thing."""

import dagster as dg

from streaming_assets.events import DEAD_LETTERS

OWNERS = ["team:data-platform"]

SIMULATOR = dg.AssetKey(["source", "simulator"])
SONGS = dg.AssetKey(["reference", "songs"])
LOCATIONS = dg.AssetKey(["reference", "locations"])
SNAPSHOT = dg.AssetKey(["serving", "dashboard_snapshot"])


def topic_key(topic: str) -> dg.AssetKey:
    """The Kafka topic's asset."""
    return dg.AssetKey(["kafka", f"{_name(topic)}_topic"])


def prefix_key(topic: str) -> dg.AssetKey:
    """The asset of a topic's prefix in the lake; its partitions are the ingestion hours."""
    return dg.AssetKey(["lake", f"{_name(topic)}_objects"])


def external_key(table: str) -> dg.AssetKey:
    """The asset of an external table."""
    return dg.AssetKey(["external", table])


INVENTORY = external_key("lake_objects")


def _name(topic: str) -> str:
    """What a topic holds. That of the dead letters is called after a connector, which not every target has."""
    return "dead_letters" if topic == DEAD_LETTERS.topic else topic
