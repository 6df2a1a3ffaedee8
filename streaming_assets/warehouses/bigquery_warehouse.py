"""The warehouse of target `gcp`, three BigQuery datasets: tables, `..._external` tables, `..._readers`' views."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa
from google.api_core.exceptions import BadRequest, GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery

from streaming_assets.events import EventType
from streaming_assets.lake.inventory import InventoryRow
from streaming_assets.lake.lease import Lease
from streaming_assets.lake.names import placeholder
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span
from streaming_assets.warehouses.bigquery_tables import (
    LABELS,
    differences,
    empty_reference_table,
    event_table,
    must_be_made_anew,
    reference_table,
)
from streaming_assets.warehouses.bigquery_views import DEFINITION, SNAPSHOT, readers_dataset, statements
from streaming_assets.warehouses.tables import (
    INVENTORY,
    INVENTORY_SCHEMA,
    inventory_row,
    is_outdated,
    new_generation,
)
from streaming_assets.warehouses.waiting import Wait
from streaming_assets.warehouses.warehouse import (
    Cost,
    Log,
    QueryFailed,
    ReadersTable,
    Warehouse,
    WarehouseOutdated,
    in_span,
)

_EMPTY = gzip.compress(b"", mtime=0)
_GENERATION = "generation"  # label of the inventory
ASSET_LABEL = "asset"  # of dbt's queries: the model or test that they belong to
DATASET_LABEL = "dataset"  # of all jobs, dbt's too: the dataset that they may change
LEASES = "leases"  # in the lake: which process holds which dataset
_LOOK_SECONDS = 2.0  # between two attempts to get the lease; each lists
INVENTORY_TYPES = {
    pa.string(): "STRING",
    pa.int64(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us"): "TIMESTAMP",
}
_INVENTORY_COLUMNS = [
    bigquery.SchemaField(column.name, INVENTORY_TYPES[field.type], description=column.description)
    for column, field in zip(INVENTORY, INVENTORY_SCHEMA, strict=True)
]


class WarehouseError(Exception):
    """BigQuery refused; the message names project and dataset, and repeats what it said."""


class BigQueryWarehouse(Warehouse):
    """Dataset `project.dataset` and `project.dataset_external`, both made beforehand (terraform/ does).

    Two writers at once are kept apart by a lease in the lake, whatever machine each is on. Jobs outlive the process
    that sent them: whoever follows a dead one ends its jobs first.
    """

    kind = "bigquery"
    is_shared = True
    asks_freely = False
    event_signature = "bit_xor(farm_fingerprint(event_id))"
    row_signature = "bit_xor(farm_fingerprint(to_json_string(t)))"
    has_readers = True
    keeps_staged = timedelta(days=400)  # dbt_project.yml's staging_expiry_days

    def __init__(
        self,
        project: str,
        dataset: str,
        connect: Callable[[], bigquery.Client],
        maximum_bytes_billed: int,
        lake: Lake,
        lock_timeout: float,
    ) -> None:
        """`connect` makes the client, when it is first needed; `lake` keeps the lease."""
        self._dataset = bigquery.DatasetReference(project, dataset)
        self._external = bigquery.DatasetReference(project, external_dataset(dataset))
        self._connect = connect
        self._maximum_bytes_billed = maximum_bytes_billed
        self._lake = lake
        self._lock_timeout = lock_timeout
        self._held: Lease | None = None  # during `exclusive`
        self._labels = LABELS | {DATASET_LABEL: dataset.lower()[:63]}

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[None]:
        name = f"{self._dataset.project}.{self._dataset.dataset_id}"
        lease = Lease(self._lake, f"{LEASES}/{name}.json")
        wait = Wait(name, self._lock_timeout if timeout is None else timeout, _LOOK_SECONDS)
        while holder := lease.take():
            wait.on(lambda holder=holder: holder)
        wait.over()
        with lease.kept():
            if lease.inherited:
                self._end_jobs()
            self._held = lease
            try:
                yield
            finally:
                self._held = None

    def looking(self, timeout: float | None = None) -> AbstractContextManager[None]:
        return nullcontext()

    def is_there(self) -> bool:
        return self.has_table("lake_objects")

    def prepare(self) -> None:
        table = bigquery.Table(self._dataset.table("lake_objects"), schema=_INVENTORY_COLUMNS)
        table.time_partitioning = bigquery.TimePartitioning(
            type_=bigquery.TimePartitioningType.DAY, field="bucket_ingestion_datetime"
        )
        table.clustering_fields = ["topic"]
        table.description = "The lake's event objects as last listed, and whether the tables hold them."
        table.labels = LABELS | {_GENERATION: new_generation()}
        with self._explained():
            found = self._client.create_table(table, exists_ok=True)
            if is_outdated(found.labels.get(_GENERATION)):
                self.reset()
            if len(found.schema) < len(_INVENTORY_COLUMNS):
                self._client.update_table(table, ["schema"])

    def _outdated(self) -> str:
        return (
            f"{self._dataset.project}.{self._dataset.dataset_id}: its tables are to be made anew. Make another dataset "
            "beside it and name that with STREAMING_ASSETS_BIGQUERY_DATASET: the sensor and `reconcile` fill it from "
            "the lake, while readers keep this one"
        )

    def reset(self) -> None:
        raise WarehouseOutdated(self._outdated())

    def generation(self) -> str | None:
        found = self._find(self._dataset.table("lake_objects"))
        return found.labels.get(_GENERATION) if found else None

    def stamp(self) -> str | None:
        """Another each hour: what a look at tables costs is charged."""
        generation = self.generation()
        return f"{generation}-{datetime.now(UTC):%Y%m%d%H}" if generation else None

    def tables(self) -> set[str]:
        with self._explained():
            return {table.table_id for table in self._client.list_tables(self._dataset)}

    def has_table(self, name: str) -> bool:
        return self._find(self._dataset.table(name)) is not None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [row.values() for row in self._run(sql)]

    def arrow(self, sql: str) -> pa.Table:
        try:
            return self._run(sql).to_arrow(create_bqstorage_client=False)
        except WarehouseError as error:
            if isinstance(error.__cause__, BadRequest):
                raise QueryFailed(str(error)) from error
            raise

    def show_to_readers(self, tables: Iterable[ReadersTable]) -> list[str]:
        """One list of the views tells what of them is to be made, so a run that changes none costs that request."""
        place = bigquery.DatasetReference(self._dataset.project, readers_dataset(self._dataset.dataset_id))
        with self._explained():
            try:
                found = {
                    view.table_id: view.labels.get(DEFINITION) for view in self._client.list_tables(place)
                }
            except NotFound:
                return [
                    f"{place.project}.{place.dataset_id} is not there, so readers have no views of the tables: "
                    "`terraform apply` makes it"
                ]
        wanted = statements(self._dataset, tables)
        changed = {name: made for name, (definition, made) in wanted.items() if found.get(name) != definition}
        there = self.tables() if changed else set()
        for name, statement in changed.items():
            if name in there or name == SNAPSHOT.name:
                self.execute(statement)
        with self._explained():
            for name in found.keys() - wanted.keys():
                self._client.delete_table(place.table(name), not_found_ok=True)
        return []

    def execute(self, sql: str) -> None:
        self._run(sql)

    def record_objects(self, span: Span, objects: Iterable[InventoryRow]) -> None:
        rows = [_json(inventory_row(row)) for row in objects]
        if not rows:
            self.execute(f"delete from lake_objects where {in_span(span)}")
            return
        incoming = self._dataset.table("lake_objects_incoming")
        config = bigquery.LoadJobConfig(
            schema=_INVENTORY_COLUMNS,
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels=self._labels,
        )
        with self._explained():
            self._client.load_table_from_json(rows, incoming, job_config=config).result()
        self.execute(replacement(span))

    def note_generations(self, objects: Iterable[InventoryRow]) -> None:
        """A bucket's listing tells contents, so none is read for it."""

    def create_event_table(self, event_type: EventType, lake: Lake, log: Log) -> None:
        """BigQuery can't read partitions of a prefix that holds no object, so there is always an empty one."""
        wanted = event_table(self._external.table(event_type.external_table or ""), event_type, lake)
        if self._alter(wanted, log):
            lake.write_if_absent(placeholder(event_type.topic), _EMPTY)

    def create_reference_table(self, name: str, lake: Lake, file: str, log: Log) -> bool:
        folder = file.rpartition("/")[0] + "/"
        found = any(listed.name == file for listed in lake.list(folder, start=file))
        place = self._external.table(name)
        self._alter(reference_table(place, lake.uri(file)) if found else empty_reference_table(place), log)
        return found

    def count_reference(self, name: str) -> int:
        return self.rows(
            f"select count(*) from `{self._external.project}.{self._external.dataset_id}.{name}`"
        )[0][0]

    def costs(self, since: datetime) -> Mapping[str, Cost]:
        found: dict[str, Cost] = {}
        with self._explained():
            for job in self._client.list_jobs(min_creation_time=since):
                if isinstance(job, bigquery.QueryJob) and ASSET_LABEL in job.labels:
                    name = job.labels[ASSET_LABEL]
                    before = found.get(name, Cost(0, 0))
                    found[name] = Cost(
                        before.bytes_billed + (job.total_bytes_billed or 0),
                        before.slot_ms + (job.slot_millis or 0),
                    )
        return found

    @cached_property
    def _client(self) -> bigquery.Client:
        with self._explained():
            return self._connect()

    def _end_jobs(self) -> None:
        """Cancel what still runs of the jobs that may change the tables, and wait until it has ended."""
        with self._explained():
            for state in ("pending", "running"):
                for job in self._client.list_jobs(state_filter=state):
                    if (job.labels or {}).get(DATASET_LABEL) == self._labels[DATASET_LABEL]:
                        job.cancel()
                        job.exception()

    def _run(self, sql: str) -> Any:
        if self._held:
            self._held.check()
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            maximum_bytes_billed=self._maximum_bytes_billed,
            labels=self._labels,
        )
        with self._explained():
            return self._client.query_and_wait(sql, job_config=config)

    def _find(self, reference: bigquery.TableReference) -> bigquery.Table | None:
        with self._explained():
            try:
                return self._client.get_table(reference)
            except NotFound as error:
                if "Dataset" in str(error):
                    raise
                return None

    def _alter(self, wanted: bigquery.Table, log: Log) -> bool:
        """Make a table what it should be, saying how it differs before it is touched; whether anything was done."""
        found = self._find(wanted.reference)
        with self._explained():
            if found is None:
                self._client.create_table(wanted)
                return True
            drift = differences(found, wanted)
            if not drift:
                return False
            log(f"{wanted.table_id} is altered: {'; '.join(drift)}")
            if must_be_made_anew(found, wanted):
                self._client.delete_table(found)
                self._client.create_table(wanted)
            else:
                self._client.update_table(wanted, ["description", "labels", "external_data_configuration"])
            return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (GoogleAPIError, GoogleAuthError) as error:
            place = f"{self._dataset.project}.{self._dataset.dataset_id}"
            raise WarehouseError(f"BigQuery, {place}: {error}") from error


def external_dataset(dataset: str) -> str:
    """The dataset of the external tables beside one; terraform/ and dbt_project/models/sources.yml name it alike."""
    return f"{dataset}_external"


def replacement(span: Span) -> str:
    """The statement that puts what was loaded in the place of a span's rows."""
    return (
        "merge into lake_objects as held using lake_objects_incoming as incoming on false"
        f" when not matched by source and {in_span(span, 'held.')} then delete"
        " when not matched then insert row"
    )


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"bucket_ingestion_datetime": f"{row['bucket_ingestion_datetime']:%Y-%m-%d %H:%M:%S}+00"}
