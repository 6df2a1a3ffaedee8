"""The two reference files, songs and locations: read from their sources, checked, and kept in the lake.

A source that is bad in any line changes nothing: the error names file, line and column, and the lake's
file stays. A row that a newer source lacks is kept and marked as retired, since facts refer to it.

The parquet files have these columns (strings unless named otherwise; empty values are null):

    songs      track_id, artist, title, duration (double, seconds), genre, is_retired (bool)
    locations  country_code, postal_code, city, state, state_code, county, county_code, is_retired (bool)

Text is kept as the source has it, in UTF-8. eventsim reads its songs as ISO-8859-1, so names in its events are
garbled where they are not ASCII; with the non-ASCII characters taken out, both sides are equal.
"""

from streaming_assets.reference.source import ReferenceSourceError
from streaming_assets.reference.tables import (
    load_locations,
    load_songs,
    merge_previous,
    read_reference,
    write_reference,
)

__all__ = [
    "ReferenceSourceError",
    "load_locations",
    "load_songs",
    "merge_previous",
    "read_reference",
    "write_reference",
]
