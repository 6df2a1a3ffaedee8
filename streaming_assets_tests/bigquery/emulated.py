"""The dbt project on target gcp over the emulator: a copy with a profile that leads there, its tables, and runs."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client, DatasetReference, LoadJobConfig, SchemaField, Table

from streaming_assets.dagster_runtime import dbt as dbt_module
from streaming_assets.dagster_runtime.dbt import DbtRunner, without_scratch
from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.bucket import BucketLake
from streaming_assets.partitions import Span
from streaming_assets.settings import Settings
from streaming_assets.warehouses.bigquery_tables import event_table, reference_columns
from streaming_assets.warehouses.bigquery_warehouse import INVENTORY_TYPES
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA, REFERENCE, naive
from streaming_assets_tests.bigquery.site import DATASET, EXTERNAL, LAKE, PROJECT, run_and_test


class EmulatedProject:
    """dbt's runs on the emulator: `url` is its own address, `bridge` the one that dbt's client is given."""

    def __init__(self, folder: Path, url: str, bridge: str) -> None:
        self._project = _copy(folder / "project", bridge)
        settings = Settings(home=folder / "home", target="gcp", gcp_project=PROJECT, lake_url=LAKE)
        self._dbt = DbtRunner(settings)
        self.client = Client(
            PROJECT, AnonymousCredentials(), client_options={"api_endpoint": url}, location="US"
        )
        for dataset in (DATASET, EXTERNAL):
            self.client.create_dataset(dataset)

    def fill(
        self, rows: Mapping[str, Sequence[Mapping[str, Any]]], objects: Sequence[Mapping[str, Any]]
    ) -> None:
        """Put rows, values by column, into tables that stand for the external ones, and objects into the inventory."""
        for name, columns in _external_columns().items():
            self._load(Table(f"{PROJECT}.{EXTERNAL}.{name}", columns), rows[name])
        columns = [SchemaField(field.name, INVENTORY_TYPES[field.type]) for field in INVENTORY_SCHEMA]
        self._load(Table(f"{PROJECT}.{DATASET}.lake_objects", columns), objects)

    def _load(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        self.client.delete_table(table, not_found_ok=True)
        lines = "\n".join(json.dumps(row, default=str) for row in rows)
        config = LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=table.schema)
        self.client.create_table(table)
        self.client.load_table_from_file(io.BytesIO(lines.encode()), table, job_config=config).result()

    def build(self, span: Span) -> None:
        """Run all models over the hours of a span, then all data tests.

        Raises:
            DbtError: a model or a test failed.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dbt_module, "PROJECT_DIR", self._project)
            run_and_test(self._dbt, span)

    def rows(self, name: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Columns and rows of a model's table; times are naive UTC."""
        found = self.client.query(f"select * from `{PROJECT}.{DATASET}.{name}`").result()
        columns = [field.name for field in found.schema]
        return columns, [tuple(map(_plain, row.values())) for row in found]

    def description(self, name: str) -> dict[str, Any]:
        """A model's table as the service describes it."""
        return self.client.get_table(f"{PROJECT}.{DATASET}.{name}").to_api_repr()

    def configs(self) -> dict[str, dict[str, Any]]:
        """Configuration of the models that outlast a run, by name."""
        return {
            node["name"]: node["config"]
            for node in without_scratch(self._dbt.manifest)["nodes"].values()
            if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
        }


def _copy(folder: Path, bridge: str) -> Path:
    """The project with the profile's own target, but an account of no one and another service."""
    shutil.copytree(dbt_module.PROJECT_DIR, folder, ignore=shutil.ignore_patterns("target", "logs"))
    path = folder / "profiles.yml"
    profile = yaml.safe_load(path.read_text())
    profile["streaming_assets"]["outputs"]["gcp"] |= {
        "method": "oauth-secrets",
        "token": "none",
        "api_endpoint": bridge,
        "threads": 1,  # the emulator may fail when two jobs commit at once, as BigQuery does not
    }
    path.write_text(yaml.safe_dump(profile))
    # Of two folds of text in a statement that makes a table the emulator takes the first for empty; of the site's text,
    # which is composed, lower case without double quotes is the same. test_models.py runs the project's own.
    fold = folder / "macros" / "dialect" / "text.sql"
    text = fold.read_text()
    whole = "trim(normalize_and_casefold({{ quoted }}, NFKC), ' \\t\\n\\r')"
    assert text.count(whole) == 1, "the fold has changed"
    fold.write_text(text.replace(whole, """replace(lower({{ text }}), '"', '')"""))
    return folder


def _external_columns() -> dict[str, list[SchemaField]]:
    """Columns of the external tables, by name, with those that BigQuery adds."""
    dataset, lake = DatasetReference(PROJECT, EXTERNAL), BucketLake(LAKE)
    added = [SchemaField("date", "TIMESTAMP"), SchemaField("_file_name", "STRING")]
    tables = {name: reference_columns(name) for name in REFERENCE}
    for event_type in LAKE_TYPES:
        table = event_table(dataset.table(str(event_type.external_table)), event_type, lake)
        tables[table.table_id] = [*table.external_data_configuration.schema, *added]
    return tables


def _plain(value: Any) -> Any:
    return naive(value) if isinstance(value, datetime) else value
