"""The dbt project on target gcp over an engine: external tables, hours, and runs of the whole graph."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streaming_assets.events import DEAD_LETTERS, WAREHOUSE_TYPES
from streaming_assets.partitions import Span
from streaming_assets.resources.dbt import DbtError, DbtRunner
from streaming_assets.settings import Settings
from streaming_assets_tests.bigquery.dbt_on_engine import answered_by
from streaming_assets_tests.bigquery.engine import GoogleSql, Table
from streaming_assets_tests.bigquery.values import type_of

PROJECT, DATASET = "test-project", "streaming_assets"
EXTERNAL = f"{DATASET}_external"
SPAN: Span = (datetime(2025, 3, 28, 22, tzinfo=UTC), datetime(2025, 3, 28, 23, tzinfo=UTC))

# Read whole by design: users are told anew from all that was ever said of them, and there are few.
READ_WHOLE = tuple(f"{PROJECT}.{DATASET}.{name}" for name in ("stg_users", "stg_status_change_events"))

_EVENTS = {"offset": "INT64", "timestamp": "STRING", "date": "TIMESTAMP", "_file_name": "STRING"}
_REFERENCE = {
    "songs_ext": ("track_id", "artist", "title", "genre"),
    "locations_ext": ("country_code", "postal_code", "city", "state", "state_code"),
}


def external_tables() -> dict[str, dict[str, str]]:
    """Columns of the external tables, by name: their types as `values.type_of` reads them."""
    tables = {
        str(event_type.external_table): {
            "value": f"RECORD({', '.join(field.name for field in event_type.fields)})",
            **_EVENTS,
        }
        for event_type in WAREHOUSE_TYPES
    }
    tables[str(DEAD_LETTERS.external_table)] = {
        "value": "STRING",
        "headers": "ARRAY<RECORD(key, value)>",
        **_EVENTS,
    }
    for name, texts in _REFERENCE.items():
        tables[name] = dict.fromkeys(texts, "STRING") | {"is_retired": "BOOL"}
    tables["songs_ext"]["duration"] = "FLOAT64"
    return tables


class BigQueryProject:
    """dbt's runs on an engine. `rows` of external tables by name make it compute; without, it checks types alone."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home, target="gcp", gcp_project=PROJECT, lake_url="gs://test-bucket")
        self.engine = GoogleSql(whole=READ_WHOLE)
        self._dbt = DbtRunner(settings)
        self.fill(None)

    def fill(self, rows: Mapping[str, list[tuple[Any, ...]]] | None) -> None:
        """Put rows into the external tables, in the order of their columns."""
        for name, columns in external_tables().items():
            self.engine.tables[f"{PROJECT}.{EXTERNAL}.{name}"] = Table(
                {column: type_of(kind) for column, kind in columns.items()},
                ("date",) if "date" in columns else (),
                None if rows is None else rows.get(name, []),
            )

    def build(self, span: Span = SPAN) -> None:
        """Run all models over the hours of a span, then all data tests.

        Raises:
            DbtError: a model or a test failed, or is no GoogleSQL.
        """
        with answered_by(self.engine):
            self._dbt.run(span)
            tests = [event["data"] for event in self._dbt.test(span)]
        failed = [test for test in tests if test["status"] != "pass"]
        if failed or not tests:
            raise DbtError(f"tests: {failed}")

    def table(self, name: str) -> Table:
        """A model's table."""
        return self.engine.tables[f"{PROJECT}.{DATASET}.{name}"]
