"""What lines of the reference sources look like: columns, their types, and what identifies a row."""

import sys
from dataclasses import dataclass
from math import inf
from typing import Any

import pyarrow as pa

RETIRED = "is_retired"


@dataclass(frozen=True)
class Kind:
    """A type of column: text, or finite numbers from `least` to `most`; `meaning` says so in words."""

    meaning: str
    arrow: pa.DataType
    least: float = -inf
    most: float = sys.float_info.max


@dataclass(frozen=True)
class Column:
    """One column of a source. A column that is not kept is checked only, to notice shifted columns."""

    name: str
    kind: Kind
    required: bool = False
    kept: bool = True
    when_empty: Any = None


@dataclass(frozen=True)
class Layout:
    """One kind of source.

    Attributes:
        format: what the file should look like, for error messages.
        columns: the checked columns, by position; others are passed over.
        widths: how many columns a line may have.
        key: the kept columns that together identify a row; of rows with one key the last counts.
    """

    format: str
    columns: dict[int, Column]
    widths: tuple[int, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> pa.Schema:
        """The kept columns, and whether a row is retired."""
        kept = [column for column in self.columns.values() if column.kept]
        fields = [pa.field(column.name, column.kind.arrow, nullable=not column.required) for column in kept]
        return pa.schema([*fields, pa.field(RETIRED, pa.bool_(), nullable=False)])


TEXT = Kind("text", pa.string())
SECONDS = Kind("a number of seconds above 0", pa.float64(), least=sys.float_info.min)
COUNT = Kind("a number of 0 or more", pa.float64(), least=0)
DEGREES = Kind("degrees from -180 to 180", pa.float64(), least=-180, most=180)

SONGS = Layout(
    format="eventsim's listen_counts: track id, artist, title, duration in seconds, listen count[, genre],"
    " separated by tabs, without a header",
    columns={
        0: Column("track_id", TEXT, required=True),
        1: Column("artist", TEXT, required=True),
        2: Column("title", TEXT, required=True),
        3: Column("duration", SECONDS, required=True, when_empty=180.0),  # as long as eventsim plays it
        4: Column("listen_count", COUNT, kept=False),
        5: Column("genre", TEXT),
    },
    widths=(5, 6),
    key=("track_id", "artist", "title", "duration"),
)
LOCATIONS = Layout(
    format="GeoNames' postal codes: 12 columns separated by tabs, without a header",
    columns={
        0: Column("country_code", TEXT, required=True),
        1: Column("postal_code", TEXT, required=True),
        2: Column("city", TEXT),
        3: Column("state", TEXT),
        4: Column("state_code", TEXT),
        5: Column("county", TEXT),
        6: Column("county_code", TEXT),
        9: Column("latitude", DEGREES, kept=False),
        10: Column("longitude", DEGREES, kept=False),
    },
    widths=(12,),
    key=("country_code", "postal_code", "city", "state"),
)
LAYOUTS = (SONGS, LOCATIONS)
