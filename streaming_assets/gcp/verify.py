"""What a deployment on Google Cloud needs, tried out: rights, places, what queries are refused, and what they cost.

Each check stands for a command that anybody can type. Those that write do so in a scratch table and an object of their
own, and only when told to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.api_core.exceptions import BadRequest, GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from googleapiclient.errors import Error as PubSubError
from httplib2 import HttpLib2Error

from streaming_assets.events import LAKE_TYPES
from streaming_assets.lake.lease import Lease
from streaming_assets.lake.names import HOUR, RAW, floor_hour
from streaming_assets.lake.store import Lake, LakeError
from streaming_assets.settings import Settings, env_name
from streaming_assets.warehouses.bigquery_views import readers_dataset
from streaming_assets.warehouses.bigquery_warehouse import LEASES, external_dataset
from streaming_assets.warehouses.tables import literal

CONSUME = "pubsub.subscriptions.consume"
_FAULTS = (GoogleAPIError, GoogleAuthError, LakeError, PubSubError, HttpLib2Error, OSError)


@dataclass(frozen=True)
class Found:
    """What a check found, and whether that is good."""

    text: str
    is_good: bool = True


@dataclass(frozen=True)
class Check:
    """One thing to know of a deployment.

    Attributes:
        what: it is.
        command: that answers the same by hand.
        good: answer.
        look: finds out.
    """

    what: str
    command: str
    good: str
    look: Callable[[], Found]

    def found(self) -> Found:
        """What it is; an error of Google's is an answer that is not good."""
        try:
            return self.look()
        except _FAULTS as error:
            return Found(_first_line(error), is_good=False)


class Deployment:
    """What is asked: BigQuery by its client, the bucket as a lake, and Pub/Sub by the `pubsub.v1` interface."""

    def __init__(
        self, settings: Settings, client: bigquery.Client, lake: Lake, pubsub: Callable[[], Any]
    ) -> None:
        """`pubsub` makes its client, if there is a subscription."""
        self._settings, self._client, self._lake, self._pubsub = settings, client, lake, pubsub
        self._project, self._dataset = settings.bigquery.project, settings.bigquery.dataset

    def checks(self, now: datetime) -> Iterator[Check]:
        """Those that change nothing. They are billed what the newest hour's objects have, 10 MB a topic at least."""
        location = self._settings.bigquery.location
        yield Check(
            "jobs may be sent", _query("select 1", "--dry_run"), "accepted", lambda: self._dry("select 1")
        )
        yield Check("jobs may be listed", f"bq ls --jobs -n 1 {self._project}", "an answer", self._jobs)
        for dataset in (self._dataset, external_dataset(self._dataset), readers_dataset(self._dataset)):
            yield Check(
                f"dataset {dataset} is where jobs run",
                f"bq show --format=json {self._project}:{dataset} | jq -r .location",
                location,
                lambda dataset=dataset: self._located(dataset),
            )
        yield Check(
            "objects may be listed and read",
            f"gcloud storage cat '{self._lake.uri(f'{RAW}/')}**' | head -c 1",
            "an object",
            self._object,
        )
        for event_type in LAKE_TYPES:
            table = f"`{self._project}.{external_dataset(self._dataset)}.{event_type.external_table}`"
            hour = literal(floor_hour(now))
            read = f"select count(*) from {table} where date = {hour}"
            bare = f"select count(*) from {table}"
            yield Check(
                f"{event_type.external_table} is read by its hour",
                _query(read),
                "a count",
                lambda read=read: self._read(read),
            )
            yield Check(
                f"{event_type.external_table} is not read without one",
                _query(bare, "--dry_run"),
                "refused: it wants a filter on `date`",
                lambda bare=bare: self._refused(bare, "filter", dry_run=True),
            )
        dear = f"select max(uri) from `{self._project}.{self._dataset}.lake_objects`"
        yield Check(
            f"a query over its limit is refused; {self._limit()}",
            _query(dear, "--maximum_bytes_billed=1"),
            "refused: it would bill more",
            lambda: self._refused(dear, "bytes billed", maximum_bytes_billed=1),
        )
        subscription = self._settings.lake.pubsub_subscription
        yield Check(
            "the subscription may be pulled",
            f"gcloud pubsub subscriptions pull {subscription or 'SUBSCRIPTION'}",
            CONSUME if subscription else "no subscription is used",
            lambda: self._subscribed(subscription),
        )

    def writing_checks(self, now: datetime) -> Iterator[Check]:
        """Those that write, and take away again what they wrote."""
        lease = f"{LEASES}/verify.json"
        yield Check(
            "objects may be written, written over and removed where leases lie",
            f"gcloud storage cp - {self._lake.uri(lease)}, twice, and rm",
            "taken and given back",
            lambda: self._leased(lease),
        )
        table = f"{self._project}.{self._dataset}.verify_scratch"
        yield Check(
            "a MERGE replaces an hour's rows",
            _query(merge(table, floor_hour(now))) + ", twice",
            "1 row",
            lambda: self._merged(table, floor_hour(now)),
        )

    def _run(self, sql: str, **options: Any) -> bigquery.QueryJob:
        limit = options.pop("maximum_bytes_billed", self._settings.bigquery.maximum_bytes_billed)
        config = bigquery.QueryJobConfig(maximum_bytes_billed=limit, use_query_cache=False, **options)
        job = self._client.query(sql, job_config=config)
        if not config.dry_run:
            job.result()
        return job

    def _dry(self, sql: str) -> Found:
        self._run(sql, dry_run=True)
        return Found("accepted")

    def _jobs(self) -> Found:
        listed = len(list(self._client.list_jobs(max_results=1)))
        return Found(f"{listed} job" if listed else "no job yet")

    def _located(self, dataset: str) -> Found:
        location = str(self._client.get_dataset(f"{self._project}.{dataset}").location)
        return Found(location, location.lower() == self._settings.bigquery.location.lower())

    def _object(self) -> Found:
        first = next(iter(self._lake.list(f"{RAW}/")), None)
        if first is None:
            return Found("no object yet: the sink has written nothing", is_good=False)
        return Found(f"{first.name}, {len(self._lake.read(first.name)):,} bytes")

    def _read(self, sql: str) -> Found:
        job = self._run(sql)
        ((rows,),) = (row.values() for row in job.result())
        return Found(f"{rows:,} lines, {job.total_bytes_billed or 0:,} bytes billed")

    def _refused(self, sql: str, word: str, **options: Any) -> Found:
        try:
            self._run(sql, **options)
        except BadRequest as error:
            return Found(_first_line(error), word in str(error))
        return Found("accepted", is_good=False)

    def _limit(self) -> str:
        most = self._settings.bigquery.maximum_bytes_billed / 2**40
        usd = most * self._settings.bigquery.usd_per_tib
        return f"{env_name('bigquery_maximum_bytes_billed')} lets one cost {usd:,.2f} USD"

    def _subscribed(self, subscription: str) -> Found:
        if not subscription:
            return Found("no subscription is used")
        subscriptions = self._pubsub().projects().subscriptions()
        held = subscriptions.testIamPermissions(resource=subscription, body={"permissions": [CONSUME]})
        permissions = held.execute().get("permissions", [])
        return Found(", ".join(permissions) or "no right", CONSUME in permissions)

    def _leased(self, name: str) -> Found:
        lease = Lease(self._lake, name)
        if holder := lease.take():
            return Found(f"held by {holder}", is_good=False)
        with lease.kept():
            lease.renew()
            lease.check()
        left = next(iter(self._lake.list(f"{LEASES}/", start=name, end=f"{name}\0")), None)
        return Found("it could not be removed", is_good=False) if left else Found("taken and given back")

    def _merged(self, table: str, hour: datetime) -> Found:
        try:
            self._run(scratch(table))
            for _ in range(2):
                self._run(merge(table, hour))
            ((rows,),) = (row.values() for row in self._run(f"select count(*) from `{table}`").result())
        finally:
            self._client.delete_table(table, not_found_ok=True)
        return Found(f"{rows} row" + ("s" if rows != 1 else ""), rows == 1)


def scratch(table: str) -> str:
    """The statement that makes the table of `merge`, partitioned as staging is."""
    return (
        f"create or replace table `{table}` (bucket_ingestion_datetime timestamp, line string)"
        " partition by timestamp_trunc(bucket_ingestion_datetime, hour)"
    )


def merge(table: str, hour: datetime) -> str:
    """A statement that replaces an hour's rows by one, as staging does."""
    within = "held.bucket_ingestion_datetime >= {} and held.bucket_ingestion_datetime < {}"
    return (
        f"merge into `{table}` as held"
        f" using (select {literal(hour)} as bucket_ingestion_datetime, 'line' as line) as incoming on false"
        f" when not matched by source and {within.format(literal(hour), literal(hour + HOUR))} then delete"
        " when not matched then insert row"
    )


def _query(sql: str, option: str = "") -> str:
    return " ".join(filter(None, ["bq query --use_legacy_sql=false", option, f"'{sql}'"]))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
