"""dbt-bigquery without BigQuery: what the adapter asks the service for, an engine answers.

Everything else is dbt's own: the profile `gcp`, the cache of relations, contracts, materialisations, hooks, tests, and
each statement as it would be sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from threading import RLock
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.adapters.bigquery import BigQueryAdapter, BigQueryColumn
from dbt.adapters.bigquery.connections import BigQueryAdapterResponse, BigQueryConnectionManager
from dbt.adapters.bigquery.relation import BigQueryRelation
from dbt.adapters.contracts.connection import ConnectionState
from dbt_common.clients import agate_helper

from streaming_assets_tests.bigquery.engine import GoogleSql


@contextmanager
def answered_by(engine: GoogleSql) -> Iterator[list[dict[str, str]]]:
    """While this lasts, connections of dbt-bigquery lead to the engine, one job at a time; gives the jobs' labels."""
    service = _Service(engine)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (BigQueryConnectionManager, "open"),
            (BigQueryAdapter, "list_schemas"),
            (BigQueryAdapter, "create_schema"),
            (BigQueryAdapter, "list_relations_without_caching"),
            (BigQueryAdapter, "get_columns_in_relation"),
            (BigQueryAdapter, "get_column_schema_from_query"),
            (BigQueryAdapter, "is_replaceable"),
            (BigQueryAdapter, "drop_relation"),
        ):
            patch.setattr(owner, name, getattr(service, name))
        patch.setattr(BigQueryConnectionManager, "execute", partialmethod(_execute, service))
        yield service.labels


class _Service:
    """The methods that are replaced, by name; the first argument of most is the adapter, which they don't need."""

    def __init__(self, engine: GoogleSql) -> None:
        self.labels: list[dict[str, str]] = []
        self._engine = engine
        self._lock = RLock()

    def open(self, connection: Any) -> Any:
        connection.state = ConnectionState.OPEN
        connection.handle = SimpleNamespace(close=lambda: None)
        return connection

    def run(self, sql: str, labels: dict[str, str]) -> tuple[dict[str, str], list[tuple[Any, ...]]]:
        with self._lock:
            self.labels.append(labels)
            return self._engine.run(sql)

    def list_schemas(self, database: str) -> list[str]:
        return sorted({name.split(".")[1] for name in self._engine.tables})

    def create_schema(self, relation: BigQueryRelation) -> None:
        pass

    def list_relations_without_caching(self, schema_relation: BigQueryRelation) -> list[BigQueryRelation]:
        prefix = f"{schema_relation.database}.{schema_relation.schema}."
        return [
            BigQueryRelation.create(*name.split("."), type="view" if table.is_view else "table")
            for name, table in self._engine.tables.items()
            if name.startswith(prefix)
        ]

    def get_columns_in_relation(self, relation: BigQueryRelation) -> list[BigQueryColumn]:
        return _columns(self._engine.tables[_name(relation)].kinds())

    def get_column_schema_from_query(self, sql: str) -> list[BigQueryColumn]:
        with self._lock:
            return _columns(self._engine.columns_of(sql))

    def is_replaceable(self, relation: BigQueryRelation, partition_by: Any, cluster_by: Any) -> bool:
        return True  # no model changes its partitioning while a test runs

    def drop_relation(self, relation: BigQueryRelation) -> None:
        self._engine.tables.pop(_name(relation), None)


def _execute(
    manager: BigQueryConnectionManager,
    service: _Service,
    sql: str,
    auto_begin: bool = False,
    fetch: bool | None = None,
    limit: int | None = None,
) -> tuple[BigQueryAdapterResponse, Any]:
    columns, rows = service.run(manager._add_query_comment(sql), manager.get_labels_from_query_comment())
    data = [dict(zip(columns, row, strict=True)) for row in rows]
    table = agate_helper.table_from_data_flat(data, list(columns)) if fetch else agate_helper.empty_table()
    return BigQueryAdapterResponse(_message="OK"), table


def _name(relation: BigQueryRelation) -> str:
    return f"{relation.database}.{relation.schema}.{relation.identifier}"


def _columns(kinds: dict[str, str]) -> list[BigQueryColumn]:
    return [BigQueryColumn(name, kind) for name, kind in kinds.items()]
