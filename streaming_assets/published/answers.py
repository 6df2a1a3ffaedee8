"""Answers as people and programs take them: a table to look at, CSV, JSON, parquet."""

import csv
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from streaming_assets.files import replaced
from streaming_assets.text import harmless

ROWS_SHOWN = 100  # of a table; the other formats have all rows
BATCH = 65_536  # rows that are in memory at once, and that a group of a parquet file has
WIDTH = 200  # characters, where there is no terminal


def show(answer: duckdb.DuckDBPyRelation) -> None:
    """Print the answer as a table."""
    width = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
    answer.show(max_rows=ROWS_SHOWN, max_width=width)


def write_csv(answer: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    """Write the answer as CSV with a header, cells as spreadsheets take them without harm."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(harmless(answer.columns))
    writer.writerows(harmless(map(_text, row)) for row in _rows(answer))


def write_json(answer: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    """Write the answer as an array of objects, one a line; times as RFC 3339, UTC."""
    before = "[\n"
    for row in _rows(answer):
        out.write(before + _json(dict(zip(answer.columns, row, strict=True))))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def write_parquet(answer: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write the answer as a parquet file, replaced in one move."""
    reader = answer.to_arrow_reader(BATCH)
    with replaced(path) as incoming, pq.ParquetWriter(incoming, reader.schema, compression="zstd") as writer:
        for batch in _batches(reader):
            writer.write_batch(batch)


def _rows(answer: duckdb.DuckDBPyRelation) -> Iterator[tuple[Any, ...]]:
    for batch in _batches(answer.to_arrow_reader(BATCH)):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:  # Arrow's wrapping of what DuckDB says
            wrapped = duckdb.InterruptException if "INTERRUPT" in str(error) else duckdb.Error
            raise wrapped(str(error)) from error
        yield batch


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return _json(value) if isinstance(value, (list, dict)) else value


def _json(value: Any) -> str:
    options = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(value, default=str, option=options).decode()
