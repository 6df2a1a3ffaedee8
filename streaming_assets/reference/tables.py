"""Reference tables: made of a source's lines, merged with those in the lake, written there."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.lake.store import Lake
from streaming_assets.reference.layouts import LAYOUTS, LOCATIONS, RETIRED, SONGS, Layout
from streaming_assets.reference.source import ReferenceSourceError, read_text
from streaming_assets.simulator import catalogue

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
    file = bundled if source == "bundled" else source
    rows: dict[tuple, list] = {}
    problems: list[str] = []
    key_at = [layout.schema.names.index(name) for name in layout.key]
    for number, line in _lines(read_text(file)):
        values = _values(line, layout)
        if isinstance(values, str):
            problems.append(f"line {number}, {values}")
        else:
            rows[tuple(values[at] for at in key_at)] = values
    if problems:
        shown = "\n  ".join(problems[:SHOWN_PROBLEMS])
        others = len(problems) - SHOWN_PROBLEMS
        more = f"\n  and {others} more lines" if others > 0 else ""
        raise ReferenceSourceError(f"{file} is not as it should be ({layout.format}):\n  {shown}{more}")
    if not rows:
        raise ReferenceSourceError(f"{file} has no rows; expected: {layout.format}")
    columns = [list(column) for column in zip(*rows.values(), strict=True)]
    table = pa.table([*columns, [False] * len(rows)], schema=layout.schema)
    return _in_order(table, layout)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Only \n ends a line: titles may hold other line separators of Unicode.
    for number, line in enumerate(text.split("\n"), start=1):
        if line := line.removesuffix("\r"):
            yield number, line


def _values(line: str, layout: Layout) -> list | str:
    """The kept values of a line, or what is wrong with it."""
    cells = line.split("\t")
    if len(cells) not in layout.widths:
        allowed = " or ".join(map(str, layout.widths))
        return f"{len(cells)} columns instead of {allowed}: {line[:60]!r}"
    values = []
    for index, column in layout.columns.items():
        text = cells[index] if index < len(cells) else ""
        value = column.when_empty
        if text.strip():
            try:
                value = column.kind.parse(text)
            except ValueError:
                return f"column {index + 1} ({column.name}): {text[:60]!r} is not {column.kind.meaning}"
        if value is None and column.required:
            return f"column {index + 1} ({column.name}) is empty"
        if column.kept:
            values.append(value)
    return values


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
