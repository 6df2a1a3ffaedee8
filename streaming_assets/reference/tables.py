"""Reference tables: made of a source's lines, merged with those in the lake, written there."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.lake.store import Lake
from streaming_assets.reference.layouts import LAYOUTS, LOCATIONS, RETIRED, SONGS, TEXT, Layout
from streaming_assets.reference.source import ReferenceSourceError, read_text
from streaming_assets.simulator import catalogue

if TYPE_CHECKING:
    import pandas as pd

SHOWN_PROBLEMS = 5


def load_songs(source: str) -> pa.Table:
    """The songs of `source`: 'bundled', an https:// address or a path. Columns: see the package.

    Raises:
        ReferenceSourceError: the source can't be read, or any of its lines is not as it should be.
    """
    return _load(source, str(catalogue.SONGS), SONGS)


def load_locations(source: str) -> pa.Table:
    """The postal codes of `source`, as `load_songs`."""
    return _load(source, str(catalogue.PLACES), LOCATIONS)


def merge_previous(new: pa.Table, previous: pa.Table | None) -> pa.Table:
    """`new`, with the rows that only `previous` has, retired; `previous` is the lake's file or None.

    A song whose artist, title or duration changed, or a place whose name did, is another row: facts
    may hold the old one's key.
    """
    layout = _layout_of(new)
    if previous is None:
        return new
    if previous.schema.names != new.schema.names:
        raise ReferenceSourceError(
            f"the lake's reference file has the columns {', '.join(previous.schema.names)}, not"
            f" {', '.join(new.schema.names)}; remove it from the lake to start anew"
        )
    current = set(_keys(new, layout))
    missing = [key not in current for key in _keys(previous, layout)]
    retired = previous.filter(pa.array(missing, pa.bool_()))
    retired = retired.set_column(
        retired.schema.get_field_index(RETIRED), RETIRED, pa.array([True] * retired.num_rows, pa.bool_())
    )
    return _in_order(pa.concat_tables([new, retired.cast(new.schema)]), layout)


def read_reference(lake: Lake, name: str) -> pa.Table | None:
    """The lake's reference file `name`; None if there is none yet.

    Raises:
        LakeError: the lake can't be read.
        ReferenceSourceError: the object is no whole parquet file.
    """
    folder = f"{name.rpartition('/')[0]}/"
    if not any(found.name == name for found in lake.list(folder, start=name)):
        return None
    data = lake.read(name)
    try:
        return pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:  # Arrow calls damaged pages an OSError
        raise ReferenceSourceError(
            f"{lake.uri(name)} is no whole parquet file ({error}); remove it to start anew"
        ) from error


def write_reference(lake: Lake, name: str, table: pa.Table) -> int:
    """Put `table` into the lake as the parquet file `name`, atomically; returns its size in bytes.

    Equal rows give equal bytes.
    """
    buffer = io.BytesIO()
    ordered = _in_order(table, _layout_of(table))
    pq.write_table(ordered, buffer, compression="zstd", write_page_checksum=True)
    lake.write(name, buffer.getvalue())
    return buffer.tell()


def _load(source: str, bundled: str, layout: Layout) -> pa.Table:
    import pandas as pd  # only here: half a second of each process's start

    file = bundled if source == "bundled" else source
    # Only \n ends a line: titles may hold other line separators of Unicode.
    lines = pd.Series(read_text(file).split("\n")).str.removesuffix("\r")
    lines.index += 1
    lines = lines[lines != ""]
    if lines.empty:
        raise ReferenceSourceError(f"{file} has no rows; expected: {layout.format}")
    rows, faults = _parsed(lines, layout)
    if not faults.empty:
        shown = "\n  ".join(
            f"line {number}, {fault}" for number, fault in faults.head(SHOWN_PROBLEMS).items()
        )
        others = len(faults) - SHOWN_PROBLEMS
        more = f"\n  and {others} more lines" if others > 0 else ""
        raise ReferenceSourceError(f"{file} is not as it should be ({layout.format}):\n  {shown}{more}")
    rows = rows.drop_duplicates([*layout.key], keep="last").assign(**{RETIRED: False})
    return _in_order(pa.Table.from_pandas(rows, layout.schema, preserve_index=False), layout)


def _parsed(lines: "pd.Series", layout: Layout) -> tuple["pd.DataFrame", "pd.Series"]:
    """The kept columns of all lines, and the first fault of each line that has one; both by the line's number."""
    import pandas as pd

    cells = lines.str.split("\t", expand=True)
    widths = lines.str.count("\t") + 1
    allowed = " or ".join(map(str, layout.widths))
    wrong = ~widths.isin(layout.widths)
    shown = lines[wrong].str[:60].map(repr)
    faults = [widths[wrong].astype(str) + f" columns instead of {allowed}: " + shown]
    kept = {}
    for at, column in layout.columns.items():
        text = cells.get(at, pd.Series("", lines.index)).fillna("")
        blank = text.str.strip() == ""
        values = text
        name = f"column {at + 1} ({column.name})"
        if column.kind is not TEXT:
            values = pd.to_numeric(text, errors="coerce")
            wrong = ~blank & ~values.between(column.kind.least, column.kind.most)
            faults.append(f"{name}: " + text[wrong].str[:60].map(repr) + f" is not {column.kind.meaning}")
        if column.required and column.when_empty is None:
            faults.append(text[blank].map(lambda _, name=name: f"{name} is empty"))
        kept[column.name] = values.mask(blank, column.when_empty)
    first = pd.concat(faults)
    first = first[~first.index.duplicated()].sort_index()
    names = [column.name for column in layout.columns.values() if column.kept]
    return pd.DataFrame(kept)[names], first


def _layout_of(table: pa.Table) -> Layout:
    for layout in LAYOUTS:
        if table.schema.names == layout.schema.names:
            return layout
    raise ReferenceSourceError(f"a table of {', '.join(table.schema.names)} is neither songs nor locations")


def _keys(table: pa.Table, layout: Layout) -> Iterator[tuple]:
    return zip(*(table.column(name).to_pylist() for name in layout.key), strict=True)


def _in_order(table: pa.Table, layout: Layout) -> pa.Table:
    """Sorted by key, in one chunk: the same rows are the same bytes, however they came together."""
    return table.sort_by([(name, "ascending") for name in layout.key]).combine_chunks()
