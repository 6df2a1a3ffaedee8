"""The two reference files, from their configured sources into the lake."""

from collections.abc import Callable

import dagster as dg
import pyarrow as pa

from streaming_assets.assets.keys import LOCATIONS, OWNERS, SONGS
from streaming_assets.lake.names import LOCATIONS as LOCATIONS_FILE
from streaming_assets.lake.names import SONGS as SONGS_FILE
from streaming_assets.lake.store import Lake
from streaming_assets.reference import (
    load_locations,
    load_songs,
    merge_previous,
    read_reference,
    write_reference,
)
from streaming_assets.settings import Settings


def build_reference_files(settings: Settings) -> list[dg.AssetsDefinition]:
    """Songs and locations; a source that is bad in any line fails and leaves the lake's file as it is."""
    return [
        _build(
            SONGS,
            SONGS_FILE,
            load_songs,
            settings.reference.songs_source,
            "The catalogue of songs that are played.",
        ),
        _build(
            LOCATIONS,
            LOCATIONS_FILE,
            load_locations,
            settings.reference.locations_source,
            "Postal codes with their places and states.",
        ),
    ]


def _build(
    key: dg.AssetKey, file: str, load: Callable[[str], pa.Table], source: str, description: str
) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        group_name="reference",
        kinds={"parquet"},
        owners=OWNERS,
        description=f"{description} Rows that a newer source lacks are kept and marked as retired.",
        metadata={"source": source},
    )
    def reference_file(lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        table = merge_previous(load(source), read_reference(lake, file))
        size = write_reference(lake, file, table)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": table.num_rows, "bytes": size, "file": lake.uri(file)}
        )

    return reference_file
