"""Dagster's event log in PostgreSQL, written a transaction a batch through a pooled engine."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log.event_log import PostgresEventLogStorage
from dagster_postgres.utils import (
    create_pg_connection,
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)
from sqlalchemy.engine import Connection

from streaming_assets.dagster_runtime.event_log import BatchedWrites

WRITER_LOCK = 0x5A6E  # any number that nothing else in the database locks


class BatchedPostgresEventLogStorage(BatchedWrites, PostgresEventLogStorage):
    """The event log of a deployed instance; configured in dagster.yaml as the stock PostgreSQL storage is.

    SQLAlchemy 2.1 takes a bare `postgresql://` for psycopg 3, so the configuration must say
    `scheme: postgresql+psycopg2`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One connection stays open for each instance; the stock class opens one for each event.
        self._engine = create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=-1,
            pool_pre_ping=True,
        )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "BatchedPostgresEventLogStorage":
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )

    @contextmanager
    def _batch(self) -> Iterator[Connection]:
        # Sensors keep the last row id that they saw, so ids must become visible in their order: writers take
        # turns. It also keeps two batches from waiting for each other's assets.
        with super()._batch() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
            yield connection

    def _open(self) -> AbstractContextManager[Connection]:
        return create_pg_connection(self._engine)

    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()
