"""Which columns a model's column is made of, as Dagster shows it.

`dbt_project/column_lineage.json` keeps that by model and column: assets' columns, `staging/stg_listen_events.song`. It
is told from the models' SQL when they change (`python -m streaming_assets_tests.assets.column_lineage`), since that
takes seconds and each process of Dagster loads the graph. A model that the file lacks has no lineage of columns.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import dagster as dg

from streaming_assets.assets.keys import external_key
from streaming_assets.events import WAREHOUSE_TYPES
from streaming_assets.settings import PROJECT_ROOT

Lineage = Mapping[str, Mapping[str, list[str]]]

LINEAGE = PROJECT_ROOT / "dbt_project" / "column_lineage.json"
_MOST_NAMED = 6  # columns that a description names; the lineage has all


def read_lineage() -> Lineage:
    """By model and column, the columns that it is made of."""
    return json.loads(LINEAGE.read_bytes())


def personal_columns(lineage: Lineage) -> dict[str, list[str]]:
    """By model, the columns that hold a field that its contract marks personal; a key, which is a hash, holds none."""
    fields = {
        f"{external_key(kind.external_table or '').to_user_string()}.{field.name}"
        for kind in WAREHOUSE_TYPES
        for field in kind.fields
        if field.personal
    }

    @cache
    def is_personal(source: str) -> bool:
        asset, _, column = source.partition(".")
        sources = lineage.get(asset.rpartition("/")[2], {}).get(column, [])
        return source in fields or any(map(is_personal, sources))

    return {
        model: [
            name
            for name, sources in columns.items()
            if not name.startswith("pk_") and any(map(is_personal, sources))
        ]
        for model, columns in lineage.items()
    }


def with_lineage(metadata: Mapping[str, Any], columns: Mapping[str, list[str]]) -> dict[str, Any]:
    """A model's metadata with the lineage of its columns.

    Dagster's own page of an asset does not show the standard entry, so each column's description says it as well.
    """
    schema: dg.TableSchema = metadata["dagster/column_schema"]
    described = [_described(column, columns.get(column.name, [])) for column in schema.columns]
    deps = {column: [_dep(source) for source in sources] for column, sources in columns.items()}
    return {
        **metadata,
        "dagster/column_schema": dg.TableSchema(described, schema.constraints),
        "dagster/column_lineage": dg.TableColumnLineage(deps),
    }


def _described(column: dg.TableColumn, sources: list[str]) -> dg.TableColumn:
    if not sources:
        return column
    named = ", ".join(sources) if len(sources) <= _MOST_NAMED else f"{len(sources)} columns"
    description = f"{column.description} (from {named})"
    return dg.TableColumn(column.name, column.type, description, column.constraints, column.tags)


def _dep(source: str) -> dg.TableColumnDep:
    asset, _, column = source.partition(".")
    return dg.TableColumnDep(asset_key=dg.AssetKey(asset.split("/")), column_name=column)
