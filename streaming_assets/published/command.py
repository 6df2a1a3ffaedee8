"""`streaming-assets sql`: the thin edge over asking.py and answers.py."""

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    import pyarrow as pa

    from streaming_assets.published.asking import Analyst


class Format(StrEnum):
    """How an answer is written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("sql")(sql_command)


def sql_command(
    query: Annotated[
        str | None,
        typer.Argument(
            help="SQL as DuckDB speaks it, or \\d, or \\d TABLE; without it a prompt", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Read the SQL from this file",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="How answers are written; default: as the name of --output ends, else table, which shows 100 rows",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write to this file, not to the terminal; parquet needs it",
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=0.001, help="After how many seconds a query is stopped, with the writing of its answer"
        ),
    ] = 300,
) -> None:
    r"""Ask the published tables: facts, dimensions and marts as of the last run. Times are UTC. \d lists the tables.

    Read-only, and beside whatever runs: an answer is of one moment, and nobody waits for it.
    """
    from streaming_assets.published.asking import Analyst, BadQuestion
    from streaming_assets.published.manifest import SnapshotError
    from streaming_assets.settings import get_settings

    settings = get_settings()
    form = form or _format_of(output)
    if query is not None and file is not None:
        _fail("give a query or a file, not both", 2)
    if form is Format.parquet and output is None:
        _fail("parquet is no text: name a file with --output", 2)
    if form is Format.table and output is not None:
        _fail("a table is for the eye: with --output choose --format csv, json or parquet", 2)
    text = file.read_text() if file else query
    if text is None and not sys.stdin.isatty():
        text = sys.stdin.read()
    try:
        if text is None:
            _converse(settings.published_dir, settings.home / "sql_history", form, output, timeout)
            return
        with Analyst.reading(settings.published_dir, timeout) as analyst:
            _answer(analyst, text, form, output)
    except (BadQuestion, SnapshotError) as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _format_of(output: Path | None) -> Format:
    if output is None:
        return Format.table
    try:
        return Format(output.suffix.removeprefix("."))
    except ValueError:
        _fail(f"{output}: its name does not end as a format does; choose one with --format", 2)


def _answer(analyst: "Analyst", text: str, form: Format, output: Path | None) -> None:
    from streaming_assets.files import replaced
    from streaming_assets.published import answers
    from streaming_assets.published.asking import BadQuestion, described

    table = described(text)
    if table is not None:
        _describe(analyst.columns(table) if table else analyst.tables())
        return
    queries = analyst.queries(text)
    if output and len(queries) > 1:
        raise BadQuestion(f"{output} takes one answer, and these are {len(queries)} queries")
    for query in queries:
        with analyst.asked(query) as answer:
            if form is Format.table:
                answers.show(answer)
            elif form is Format.parquet and output:
                answers.write_parquet(answer, output)
            else:
                write = answers.write_csv if form is Format.csv else answers.write_json
                if output is None:
                    write(answer, sys.stdout)
                    continue
                with replaced(output) as incoming, open(incoming, "w", newline="", encoding="utf-8") as out:
                    write(answer, out)


def _describe(rows: "pa.Table") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*rows.column_names)
    for row in rows.to_pylist():
        table.add_row(*(escape(value or "") for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _converse(folder: Path, history: Path, form: Format, output: Path | None, timeout: float) -> None:
    """Answer one question after the other, each of the newest snapshot, until the input ends."""
    import readline

    from streaming_assets.published.asking import Analyst, BadQuestion
    from streaming_assets.published.manifest import SnapshotError

    with Analyst.reading(folder, timeout) as analyst:
        print(
            f"{analyst.moment()}. A query ends with ; \\d lists the tables, \\d TABLE its columns, \\q ends."
        )
    with suppress(OSError):
        readline.read_history_file(history)
    try:
        while (text := _question()) is not None:
            try:
                with Analyst.reading(folder, timeout) as analyst:
                    _answer(analyst, text, form, output)
            except (BadQuestion, SnapshotError) as error:
                print(f"sql: {error}", file=sys.stderr)
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)
    finally:
        with suppress(OSError):
            readline.write_history_file(history)


def _question() -> str | None:
    """What is typed up to a semicolon, or a line that begins with a backslash; None at the end."""
    lines: list[str] = []
    while True:
        try:
            line = input("...> " if lines else "sql> ")
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()
            lines = []
            continue
        if not lines and line.strip() in ("\\q", "exit", "quit"):
            return None
        if not lines and not line.strip():
            continue
        lines.append(line)
        if line.rstrip().endswith(";") or lines[0].lstrip().startswith("\\"):
            return "\n".join(lines)


def _fail(message: str, code: int) -> NoReturn:
    print(f"sql: {message}", file=sys.stderr)
    raise typer.Exit(code)
