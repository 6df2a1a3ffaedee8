"""The published tables, as the marts' YAML says them, and publishing of days that a test gives."""

from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from pathlib import Path

import pyarrow as pa

from streaming_assets.dagster_runtime.dbt import DbtRunner
from streaming_assets.published.manifest import Hours, Manifest
from streaming_assets.published.publication import Publication
from streaming_assets.published.tables import PublishedTable, published_tables
from streaming_assets.settings import Settings
from streaming_assets.testing import CACHE


@cache
def _dbt() -> DbtRunner:
    """Its parsed project is kept, and parsed anew when a file of it is another."""
    return DbtRunner(Settings.model_validate({"home": CACHE}))


@cache
def tables() -> dict[str, PublishedTable]:
    """The published tables by name."""
    return {table.name: table for table in published_tables(_dbt().manifest)}


def parsed_project() -> Path:
    """dbt's target folder with the parsed project."""
    assert _dbt().manifest
    return _dbt().target_path


def publish(
    folder: Path,
    given: Mapping[str, Mapping[date | None, pa.Table]],
    as_of: datetime,
    replace_all: bool = False,
    hours: Hours | None = None,
) -> Manifest:
    """Publish the given days; a day without rows leaves, others stay as they are unless all are replaced.

    None is the day of a table that has none.
    """
    with Publication.begin(folder, tables().values()) as publication:
        if replace_all:
            for name in tables():
                for day in publication.days(name):
                    publication.drop(name, day)
        for name, days in given.items():
            for day, rows in days.items():
                if day is None:
                    publication.put_whole(name, "given", rows)
                else:
                    publication.put(name, day, rows)
        return publication.commit(as_of, hours)
