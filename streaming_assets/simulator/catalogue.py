"""The pools that users and songs are drawn from: which files hold them, and how eventsim's formats are read.

The bundled files are generated (`making`); any of them can be replaced by a file in the same format,
eventsim's own included. Plain and gzip files, UTF-8, UTF-16 and Latin-1, and all line ends are understood.
"""

import csv
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

DATA = Path(__file__).parent / "data"
SONGS = DATA / "songs.tsv.gz"
PLACES = DATA / "places.tsv.gz"
POPULATION = DATA / "population.tsv.gz"
FIRST_NAMES = DATA / "first-names.csv"
SURNAMES = DATA / "surnames.csv"
USER_AGENTS = DATA / "user-agents.tsv.gz"

_NO_DURATION = 180.0  # seconds, as in the original, of a song whose duration is empty


class CatalogueError(ValueError):
    """A data file can't be used; the message names the file and what it should look like."""


@dataclass(frozen=True)
class Files:
    """Which files the pools come from.

    Attributes:
        songs: track id, artist, title, duration s, listen count[, genre]; TSV without header.
        similar_songs: track id, similar track id; CSV; None for independent songs.
        places: GeoNames postal codes; TSV without header: country, code, place, state, state code, ...
        population: ZIP code area, population, ..., latitude (column 8), longitude (9); TSV with header.
        first_names: name, sex, count; CSV without header.
        surnames: name, rank, count, ...; CSV with header.
        user_agents: percent, weight, agent, ...; TSV with header.
    """

    songs: Path = SONGS
    similar_songs: Path | None = None
    places: Path = PLACES
    population: Path = POPULATION
    first_names: Path = FIRST_NAMES
    surnames: Path = SURNAMES
    user_agents: Path = USER_AGENTS


@dataclass(frozen=True)
class Pool:
    """Rows to choose from, and their weights (not negative, not all zero)."""

    rows: Sequence[tuple]
    weights: Sequence[float]


@dataclass(frozen=True)
class Catalogue:
    """All pools.

    Attributes:
        songs: rows of (artist, title, duration s as float).
        similar: for a song's index, the indices of its similar songs.
        places: rows of (city, state code, zip, longitude, latitude).
        first_names: rows of (name, 'F' or 'M').
        surnames: rows of (name,).
        user_agents: rows of (agent,).
    """

    songs: Pool
    similar: dict[int, list[int]]
    places: Pool
    first_names: Pool
    surnames: Pool
    user_agents: Pool


def load_catalogue(files: Files) -> Catalogue:
    """Read all files.

    Raises:
        CatalogueError: one is missing, in another format, or has nothing to choose from.
    """
    for field in fields(files):
        path = getattr(files, field.name)
        if path is not None and not path.is_file():
            raise CatalogueError(f"no file {path} ({field.name.replace('_', ' ')})")
    tracks, songs = _songs(files.songs)
    similar = _similar(files.similar_songs, tracks) if files.similar_songs else {}
    return Catalogue(
        songs=songs,
        similar=similar,
        places=_places(files.places, files.population),
        first_names=_pool(
            files.first_names,
            "name,sex,count",
            (
                ((name.strip().lower().capitalize(), sex.strip()), float(count))
                for name, sex, count, *_ in _rows(files.first_names, ",")
            ),
        ),
        surnames=_pool(
            files.surnames,
            "name,rank,count with a header",
            (
                ((name.lower().capitalize(),), float(count))
                for name, _, count, *_ in _rows(files.surnames, ",", header=True)
            ),
        ),
        user_agents=_pool(
            files.user_agents,
            "percent, weight, agent, separated by tabs, with a header",
            (
                ((agent,), float(weight))
                for _, weight, agent, *_ in _rows(files.user_agents, "\t", header=True)
            ),
        ),
    )


def _songs(path: Path) -> tuple[list[str], Pool]:
    tracks: list[str] = []

    def rows() -> Iterator[tuple[tuple, float]]:
        for track, artist, title, duration, count, *_ in _rows(path, "\t"):
            tracks.append(track)
            yield (artist, title, float(duration) if duration.strip() else _NO_DURATION), float(count)

    pool = _pool(path, "track id, artist, title, duration, listen count, separated by tabs", rows())
    return tracks, pool


def _similar(path: Path, tracks: list[str]) -> dict[int, list[int]]:
    number = {track: index for index, track in enumerate(tracks)}
    similar: dict[int, list[int]] = {}
    for row in _rows(path, ","):
        if len(row) < 2:
            raise _wrong(path, "track,similar track", row)
        if row[0] in number and row[1] in number:
            similar.setdefault(number[row[0]], []).append(number[row[1]])
    return similar


def _places(places: Path, population: Path) -> Pool:
    """Areas that both files know, weighted by population; a later row of the same code wins."""
    names: dict[str, tuple[str, str]] = {}
    for row in _rows(places, "\t"):
        if len(row) < 5:
            raise _wrong(places, "GeoNames' postal codes: country, code, place, state, state code, ...", row)
        names[row[1]] = (row[2], row[4])
    rows = (
        ((*names[code], code, float(longitude), float(latitude)), float(people))
        for code, people, *_, latitude, longitude in _rows(population, "\t", header=True)
        if code in names
    )
    expected = f"code, population, ..., latitude, longitude, with codes that {places.name} has too"
    return _pool(population, expected, rows)


def _pool(path: Path, expected: str, rows: Iterator[tuple[tuple, float]]) -> Pool:
    values, weights = [], []
    try:
        for value, weight in rows:
            values.append(value)
            weights.append(weight)
    except ValueError as error:
        raise CatalogueError(
            f"{path}: row {len(values) + 1} is not of the form {expected}: {error}"
        ) from None
    if not any(weight > 0 for weight in weights) or any(weight < 0 for weight in weights):
        raise CatalogueError(
            f"{path} has no row of positive weight, or a negative one (expected: {expected})"
        )
    return Pool(values, weights)


def _wrong(path: Path, expected: str, row: list[str]) -> CatalogueError:
    return CatalogueError(f"{path}: {row!r} is not of the form {expected}")


def _rows(path: Path, separator: str, header: bool = False) -> Iterator[list[str]]:
    """The file's rows as fields. Only CSV has quotes; in TSV they are part of the text."""
    lines = iter(_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    if header:
        next(lines, None)
    filled = (line for line in lines if line.strip())
    return csv.reader(filled) if separator == "," else (line.split(separator) for line in filled)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise CatalogueError(f"{path} is a damaged gzip file: {error}") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
