"""The settings by subject: of each its type, limits, default and meaning.

Outside a setting has one name, its subject's and its own, or its alias: a name that was there before the subjects.
Times are UTC, sizes bytes, intervals seconds unless named otherwise.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

# The most partitions of a table that one statement of BigQuery may change.
MOST_HOURS_PER_STEP = 4000


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _absolute_unless_address(place: str) -> str:
    return place if place in ("", "bundled") or "://" in place else str(_absolute(Path(place)))


def _brokers(value: str) -> str:
    if value and not re.fullmatch(r"[^\s,]+:\d+(,[^\s,]+:\d+)*", value):
        raise ValueError("must be host:port[,host:port]")
    return value


def _host_names(value: str) -> str:
    if value and not re.fullmatch(r"[\w-]+(\.[\w-]+)*(,[\w-]+(\.[\w-]+)*)*", value):
        raise ValueError("must be name[,name], without scheme and port, such as dagster.example.com")
    return value.lower()


# Processes of one system run in different folders, so a relative path is made absolute when it is read.
LocalPath = Annotated[Path, AfterValidator(_absolute)]
Place = Annotated[str, AfterValidator(_absolute_unless_address)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Port = Annotated[int, Field(ge=1, le=65535)]
HostNames = Annotated[str, AfterValidator(_host_names)]


class LakeSettings(BaseModel):
    """The lake."""

    url: Place = Field(
        default="",
        description="Lake root: a folder or gs://bucket[/prefix]; empty means HOME/lake (target local)",
    )
    retention_days: int = Field(
        default=0,
        ge=0,
        description="Days after which the bucket's life cycle may delete objects; older hours are left alone. "
        "0: the lake keeps all",
    )
    seal_after_days: int = Field(
        default=0,
        ge=0,
        description="Days after an hour's end at which a daily run makes one file of its small objects of a topic "
        "(docs/sealed-hours.md, warehouse duckdb). 0: none is sealed unasked",
    )
    pubsub_subscription: str = Field(
        default="",
        description="Subscription to the bucket's notifications, projects/P/subscriptions/S, that wakes the object "
        "sensor; empty means that it lists at each tick (target gcp)",
        validation_alias="pubsub_subscription",
    )
    relist_seconds: int = Field(
        default=600,
        ge=5,
        description="With a subscription, how long, s, the sensor lists nothing unless notified",
        validation_alias="relist_seconds",
    )


class WarehouseSettings(BaseModel):
    """The warehouse."""

    kind: Literal["", "duckdb", "bigquery"] = Field(
        default="",
        description="Where the tables are; empty means duckdb on target local, bigquery on gcp",
        validation_alias="warehouse",
    )
    path: LocalPath | None = Field(default=None, description="DuckDB file; empty means HOME/warehouse.duckdb")
    lock_timeout_seconds: int = Field(
        default=3600,
        ge=0,
        description="How long a run waits, s, for another process to release the warehouse",
    )
    hours_per_step: int = Field(
        default=168,
        ge=1,
        le=MOST_HOURS_PER_STEP,
        description="Hours that a backfill's run covers at most, whoever launches it: a longer range is cut, and live "
        "hours go between its runs. Fewer on a site whose week takes longer than a live hour may wait",
        validation_alias="hours_per_step",
    )

    mask_personal: bool = Field(
        default=False,
        description="Whether readers (published files, analytics.duckdb, views of BigQuery) have null in columns that "
        "hold a field that its contract marks personal (docs/privacy.md)",
        validation_alias="mask_personal",
    )

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        assert self.path is not None  # filled by Settings
        return self.path


class BigQuerySettings(BaseModel):
    """BigQuery."""

    project: str = Field(
        default="",
        description="Google Cloud project of BigQuery and of a lake in a bucket",
        validation_alias="gcp_project",
    )
    dataset: str = Field(default="streaming_assets", description="BigQuery dataset")
    location: str = Field(default="US", description="BigQuery location")
    maximum_bytes_billed: int = Field(
        default=1_099_511_627_776,
        ge=10_485_760,
        description="Bytes billed above which BigQuery refuses a query",
    )
    usd_per_tib: float = Field(
        default=6.25,
        ge=0,
        description="Price of 2^40 bytes billed, USD, for the cost in materialisations' metadata",
    )


class DagsterSettings(BaseModel):
    """Dagster."""

    runtime: Literal["own", "stock"] = Field(
        default="own",
        description="Whether event log, run launcher, dbt and reports on hours are this project's or Dagster's own, "
        "for when an upgrade of Dagster breaks them (docs/dagster-runtime.md)",
    )
    lookback_hours: int = Field(
        default=48,
        ge=1,
        description="Ingestion hours before now that the object sensor watches",
        validation_alias="lookback_hours",
    )
    sensor_interval_seconds: int = Field(
        default=5,
        ge=5,
        description="Least time, s, between two looks of the object sensor",
        validation_alias="sensor_interval_seconds",
    )
    event_retention_hours: float | None = Field(
        default=None,
        gt=0,
        description="Age, h, at which Dagster's log loses runs' details and what newer events supersede; empty means "
        "2 on target local, 720 (30 days) on gcp",
        validation_alias="event_retention_hours",
    )
    url: str = Field(
        default="",
        description="Address of Dagster's pages in alerts; empty means http://BIND_HOST:DAGSTER_PORT on target local, "
        "and no links on gcp",
    )
    port: Port = Field(default=3000, description="Port of Dagster's web server")


class MonitoringSettings(BaseModel):
    """Checks, alerts and logs."""

    quarantine_warn_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of an hour's rows in quarantine above which a check warns",
        validation_alias="quarantine_warn_share",
    )
    alert_addresses: SecretStr = Field(
        default=SecretStr(""),
        description="Where alerts go: addresses as apprise writes them (slack://..., mailto://...), apart by spaces; "
        "empty means nowhere",
        validation_alias="alert_addresses",
    )
    alert_rules: LocalPath | None = Field(
        default=None,
        description="File of what counts as wrong and what is told of it; empty, and for what it does not name, the "
        "defaults of streaming_assets/monitoring/rules.yml",
        validation_alias="alert_rules",
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="How sink, broker, runs and `make dev`'s log files tell what happens: a line of text, or of JSON "
        "with run, hour and asset (docs/operations.md)",
        validation_alias="log_format",
    )
    metrics_port: Port = Field(
        default=9464,
        description="Port of `streaming-assets metrics`",
        validation_alias="metrics_port",
    )


class KafkaSettings(BaseModel):
    """Kafka."""

    bootstrap_servers: Brokers = Field(
        default="",
        description="Address of a Kafka broker, host:port[,host:port]; empty means the embedded broker",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Protocol of the connection to Kafka"
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="", description="SASL mechanism, for a SASL_* protocol"
    )
    sasl_username: str = Field(default="", description="SASL user name")
    sasl_password: SecretStr = Field(default=SecretStr(""), description="SASL password")
    sasl_password_file: LocalPath | None = Field(
        default=None, description="File that holds the SASL password, instead of the variable"
    )
    ca_file: LocalPath | None = Field(
        default=None, description="PEM file of the broker's certificate authority"
    )
    connect_url: str = Field(
        default="",
        description="REST address of Kafka Connect, http://host:port; empty where the Python sink is used",
    )
    plugins: LocalPath | None = Field(
        default=None,
        description="Folder of Kafka Connect plugins, one subfolder each; empty means HOME/kafka/plugins",
    )
    downloads: LocalPath | None = Field(
        default=None,
        description="Folder of what `kafka up` downloads; empty means HOME/kafka/downloads",
    )


class SinkSettings(BaseModel):
    """The Python sink."""

    group_id: str = Field(default="streaming-assets-sink", description="Consumer group of the Python sink")
    flush_seconds: float = Field(
        default=15.0,
        gt=0,
        description="Greatest age, s, of a buffered record before the sink writes its object",
    )
    flush_bytes: int = Field(
        default=67_108_864,
        ge=65_536,
        description="Buffered bytes of events at which the sink writes all objects",
    )


class ReferenceSettings(BaseModel):
    """Reference files."""

    songs_source: Place = Field(
        default="bundled",
        description="Songs file: https:// address, path (TSV, plain or gzip), or 'bundled'",
        validation_alias="songs_source",
    )
    locations_source: Place = Field(
        default="bundled",
        description="Postal codes: https:// address, path (GeoNames TSV), or 'bundled'",
        validation_alias="locations_source",
    )


class SimulatorSettings(BaseModel):
    """The simulator of `make dev`."""

    config: LocalPath | None = Field(
        default=None, description="eventsim configuration (JSON) of `make dev`; empty means the bundled one"
    )
    users: int = Field(default=5000, ge=1, description="Users that `make dev` simulates at the start")
    growth_rate: float = Field(default=0.5, ge=0, description="Yearly growth of those users")
    seed: int = Field(default=42, description="Seed of that simulation")
    history_hours: int = Field(
        default=504,  # the dashboards compare weeks
        ge=0,
        description="Hours of history that the first `make dev` writes",
    )


class DashboardsSettings(BaseModel):
    """Dashboards."""

    subscription_price_usd: float = Field(
        default=4.99,
        ge=0,
        description="Price of a month on level paid, USD, for the KPI page",
        validation_alias="subscription_price_usd",
    )
    stale_after_minutes: int = Field(
        default=90,
        ge=1,
        description="Age, min, of the newest hour above which the dashboards warn",
        validation_alias="stale_after_minutes",
    )
    port: Port = Field(default=8050, description="Port of the dashboards")


class WebSettings(BaseModel):
    """Addresses of the web server and the dashboards."""

    bind_host: str = Field(
        default="127.0.0.1",
        description="Address that the web server and dashboards listen on",
        validation_alias="bind_host",
    )
    allowed_hosts: HostNames = Field(
        default="",
        description="Names, comma-separated, by which these are reached beside localhost and IP addresses, as behind a "
        "proxy; requests to other names, and of other sites' pages, are refused (docs/operations.md)",
        validation_alias="allowed_hosts",
    )
