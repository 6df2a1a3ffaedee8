"""The dbt project on target gcp over an engine: external tables, hours, and runs of the whole graph."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud.bigquery import DatasetReference, SchemaField
from zetasql import types

from streaming_assets.dagster_runtime.dbt import DbtError, DbtRunner
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.bucket import BucketLake
from streaming_assets.partitions import Span
from streaming_assets.settings import Settings
from streaming_assets.warehouses.bigquery_tables import event_table, reference_columns
from streaming_assets.warehouses.bigquery_warehouse import INVENTORY_TYPES
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA, REFERENCE
from streaming_assets_tests.bigquery.dbt_on_engine import answered_by
from streaming_assets_tests.bigquery.engine import GoogleSql, Table
from streaming_assets_tests.bigquery.site import DATASET, EXTERNAL, LAKE, PROJECT, run_and_test
from streaming_assets_tests.bigquery.values import type_of

SPAN: Span = (datetime(2025, 3, 28, 22, tzinfo=UTC), datetime(2025, 3, 28, 23, tzinfo=UTC))

# Read whole by design: users are told anew from all that was ever said of them, and there are few.
READ_WHOLE = tuple(f"{PROJECT}.{DATASET}.{name}" for name in ("stg_users", "stg_status_change_events"))

_KINDS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}  # the API's names
INVENTORY = {
    field.name: type_of(_KINDS.get(kind := INVENTORY_TYPES[field.type], kind)) for field in INVENTORY_SCHEMA
}


def external_tables() -> dict[str, dict[str, types.Type]]:
    """Columns of the external tables, by name, as they are made through the API, with those that BigQuery adds."""
    dataset = DatasetReference(PROJECT, EXTERNAL)
    lake = BucketLake(LAKE)
    tables = {}
    for event_type in LAKE_TYPES:
        table = event_table(dataset.table(str(event_type.external_table)), event_type, lake)
        columns = {field.name: _type(field) for field in table.external_data_configuration.schema}
        added = {"date": type_of("TIMESTAMP"), "_file_name": type_of("STRING")}
        tables[table.table_id] = columns | added
    for name in REFERENCE:
        tables[name] = {field.name: _type(field) for field in reference_columns(name)}
    return tables


def _type(field: SchemaField) -> types.Type:
    return type_of(_KINDS.get(field.field_type, field.field_type))


class BigQueryProject:
    """dbt's runs on an engine. `rows` of external tables by name make it compute; without, it checks types alone."""

    def __init__(self, home: Path) -> None:
        settings = Settings(home=home, target="gcp", gcp_project=PROJECT, lake_url=LAKE)
        self.engine = GoogleSql(whole=READ_WHOLE)
        self.labels: list[dict[str, str]] = []  # of the last build's jobs
        self.dbt = DbtRunner(settings)
        self.target_path = self.dbt.target_path
        self.fill(None, None)

    def fill(
        self,
        rows: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        objects: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        """Put rows, values by column, into the external tables, and objects into the inventory."""
        self.engine.tables[f"{PROJECT}.{DATASET}.lake_objects"] = Table(
            INVENTORY,
            ("bucket_ingestion_datetime",),
            None if objects is None else [tuple(row[column] for column in INVENTORY) for row in objects],
        )
        for name, columns in external_tables().items():
            self.engine.tables[f"{PROJECT}.{EXTERNAL}.{name}"] = Table(
                columns,
                ("date",) if "date" in columns else (),
                None if rows is None else [tuple(row[column] for column in columns) for row in rows[name]],
            )

    def build(self, span: Span = SPAN) -> None:
        """Run all models over the hours of a span, then all data tests.

        Raises:
            DbtError: a model or a test failed, or is no GoogleSQL.
        """
        with answered_by(self.engine) as self.labels:
            run_and_test(self.dbt, span)

    def build_base_models(self, span: Span, select: str = "path:models/staging/base") -> None:
        """Run the models that read lines, or those of them that `select` names, and no others.

        Raises:
            DbtError: a model failed, or is no GoogleSQL.
        """
        with answered_by(self.engine):
            failure, _ = self.dbt._invoke("run", span, "--select", select)
        if failure:
            raise DbtError(failure)

    def rows(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Columns and rows of a model's table."""
        table = self.engine.tables[f"{PROJECT}.{DATASET}.{name}"]
        return list(table.columns), table.rows or []
