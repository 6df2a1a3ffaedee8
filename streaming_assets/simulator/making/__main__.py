"""Writes the bundled files; the same bytes each time."""

import gzip
import random
from collections.abc import Iterable
from pathlib import Path

from streaming_assets.simulator.catalogue import (
    FIRST_NAMES,
    PLACES,
    POPULATION,
    SONGS,
    SURNAMES,
    USER_AGENTS,
)
from streaming_assets.simulator.config import DEFAULT_CONFIG
from streaming_assets.simulator.making.people import first_name_rows, surname_rows, user_agent_rows
from streaming_assets.simulator.making.places import (
    POPULATION_HEADER,
    geonames_row,
    places,
    population_row,
)
from streaming_assets.simulator.making.site import as_text, default_config
from streaming_assets.simulator.making.songs import song_rows

_SEED = 8


def make(folder: Path) -> None:
    """Write all bundled files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    areas = list(places(random.Random(_SEED)))
    files: dict[str, Iterable[str]] = {
        SONGS.name: song_rows(random.Random(_SEED)),
        PLACES.name: map(geonames_row, areas),
        POPULATION.name: [POPULATION_HEADER, *map(population_row, areas)],
        FIRST_NAMES.name: first_name_rows(),
        SURNAMES.name: surname_rows(),
        USER_AGENTS.name: user_agent_rows(),
    }
    for name, rows in files.items():
        data = "".join(f"{row}\n" for row in rows).encode()
        (folder / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    (folder / DEFAULT_CONFIG.name).write_text(as_text(default_config()), encoding="utf-8")


if __name__ == "__main__":
    make(DEFAULT_CONFIG.parent)
