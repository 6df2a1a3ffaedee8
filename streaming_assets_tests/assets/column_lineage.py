"""Which columns each column of a model is made of, told from the models' SQL; as a program, writes column_lineage.json.

No warehouse is asked. What base models read no SQL tells, since they are read from the lake's objects: their contracts
do.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from sqlglot import exp, parse_one
from sqlglot.lineage import Node, lineage

from streaming_assets.assets.column_lineage import LINEAGE, Lineage
from streaming_assets.assets.keys import INVENTORY, external_key
from streaming_assets.assets.warehouse import Translator
from streaming_assets.dagster_runtime.dbt import PROJECT_DIR, DbtRunner, is_scratch
from streaming_assets.events import WAREHOUSE_TYPES
from streaming_assets.settings import Settings
from streaming_assets.warehouses.tables import INVENTORY_SCHEMA, REFERENCE

_FOLDERS = ("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR))
_OPTIONS = ("--quiet", "--no-write-json", "--log-level-file", "none", *_FOLDERS)
_ANY_DAY = json.dumps({"event_days": "2025-01-01"})
_DIALECT = "duckdb"


def column_lineage(target: Path) -> Lineage:
    """The lineage of all models that are assets, by model and column; `target` has the parsed project."""
    models = _in_order(_compiled(target))
    assets = _external_columns()
    schemas = {table: {c.name: c.kind for c in columns} for table, columns in REFERENCE.items()}
    translator = Translator("duckdb", {})
    found: dict[str, dict[str, list[str]]] = {}
    for node in models:
        name = node["name"]
        sql = parse_one(node["compiled_code"], dialect=_DIALECT)
        for table in sql.find_all(exp.Table):
            table.set("db", None)
            table.set("catalog", None)
        if name.startswith("base_"):
            columns = list(sql.named_selects)
        else:
            nodes = lineage(None, sql, schemas, dialect=_DIALECT)
            columns = list(nodes)
            sources = {column: _sources(told, assets) for column, told in nodes.items()}
            if is_scratch(name):
                assets |= {(name, column): told for column, told in sources.items()}
            else:
                key = translator.get_asset_key(node).to_user_string()
                assets |= {(name, column): [f"{key}.{column}"] for column in columns}
                found[name] = {column: told for column, told in sources.items() if told}
        schemas[name] = dict.fromkeys(columns, "varchar")
    return {name: found[name] for name in sorted(found)}


def as_text(found: Lineage) -> str:
    """As the file has it: a line a column."""
    models = (
        f'  "{name}": {{\n'
        + ",\n".join(f'    "{column}": {json.dumps(sources)}' for column, sources in columns.items())
        + "\n  }"
        for name, columns in found.items()
    )
    return "{\n" + ",\n".join(models) + "\n}\n"


def _external_columns() -> dict[tuple[str, str], list[str]]:
    """What columns of tables and of base models are in the graph: those of external tables and of the inventory."""
    found = {
        (table, column.name): [f"{external_key(table).to_user_string()}.{column.name}"]
        for table, columns in REFERENCE.items()
        for column in columns
    }
    for kind in WAREHOUSE_TYPES:
        table = external_key(str(kind.external_table)).to_user_string()
        for field in kind.fields:
            if field.column:
                found[f"base_{kind.topic}", field.column] = [f"{table}.{field.name}"]
        for column in INVENTORY_SCHEMA.names:
            found[f"base_{kind.topic}", column] = [f"{INVENTORY.to_user_string()}.{column}"]
    return found


def _sources(told: Node, assets: Mapping[tuple[str, str], list[str]]) -> list[str]:
    """The columns of assets at the ends of a column's lineage."""
    ends = ((node, node.expression.find(exp.Table)) for node in told.walk() if not node.downstream)
    names = {(table.name, exp.to_column(node.name).name) for node, table in ends if table}
    return sorted({source for name in names for source in assets.get(name, [])})


def _compiled(target: Path) -> dict[str, dict[str, Any]]:
    manifest = Manifest.from_msgpack((target / "partial_parse.msgpack").read_bytes())
    manifest.build_flat_graph()
    with patch.dict(
        os.environ, {"DBT_TARGET_PATH": str(target), "STREAMING_ASSETS_WAREHOUSE_PATH": ":memory:"}
    ):
        result: Any = dbtRunner(manifest=manifest).invoke(
            ["compile", *_OPTIONS, "--select", "resource_type:model", "--vars", _ANY_DAY]
        )
    if not result.success:
        raise RuntimeError(f"dbt can't compile {PROJECT_DIR}: {result.exception}")
    nodes = (found.node for found in result.result.results)
    return {node.unique_id: node.to_dict() for node in nodes if node.resource_type == "model"}


def _in_order(models: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each model after those that it reads."""
    seen: set[str] = set()

    def visit(name: str) -> Iterator[dict[str, Any]]:
        if name in models and name not in seen:
            seen.add(name)
            for parent in models[name]["depends_on"]["nodes"]:
                yield from visit(parent)
            yield models[name]

    for name in sorted(models):
        yield from visit(name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        dbt = DbtRunner(Settings(home=Path(folder)))
        _ = dbt.manifest  # which parses the project
        LINEAGE.write_text(as_text(column_lineage(dbt.target_path)))
