"""Every setting of the project, typed, with its environment name and meaning.

Nothing else reads the environment. Values come from, first wins: the environment
(`STREAMING_ASSETS_<NAME>`), the file `.env` in the working directory, the default. An empty value is none.
"""

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streaming_assets.events import DEAD_LETTERS

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENV_PREFIX = "STREAMING_ASSETS_"
ENV_FILE = ".env"


class SettingsError(ValueError):
    """A setting is unknown or impossible; the message names it and what is allowed."""


def _utc_hour(value: datetime) -> datetime:
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if value.minute or value.second or value.microsecond:
        raise ValueError("must be a whole hour, such as 2025-01-01T00:00Z")
    if value > datetime.now(UTC):
        raise ValueError("must not lie in the future")
    return value


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _absolute_unless_address(place: str) -> str:
    return place if place in ("", "bundled") or "://" in place else str(_absolute(Path(place)))


def _brokers(value: str) -> str:
    if value and not re.fullmatch(r"[^\s,]+:\d+(,[^\s,]+:\d+)*", value):
        raise ValueError("must be host:port[,host:port]")
    return value


UtcHour = Annotated[datetime, AfterValidator(_utc_hour)]
# Processes of one system run in different folders, so a relative path is made absolute when it is read.
LocalPath = Annotated[Path, AfterValidator(_absolute)]
Place = Annotated[str, AfterValidator(_absolute_unless_address)]
Brokers = Annotated[str, AfterValidator(_brokers)]


class Settings(BaseSettings):
    """The settings in force. Times are UTC, sizes bytes, intervals seconds unless named otherwise."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore"
    )

    target: Literal["local", "gcp"] = Field(
        "local", description="The usual pairs of lake and warehouse: a folder and DuckDB, or GCS and BigQuery"
    )
    warehouse: Literal["", "duckdb", "bigquery"] = Field(
        "", description="Where the tables are; empty means duckdb on target local, bigquery on gcp"
    )
    home: LocalPath = Field(
        PROJECT_ROOT / ".local",
        description="Folder of all local state: lake/, warehouse.duckdb, dagster_home/",
    )
    first_hour: UtcHour = Field(
        datetime(2025, 1, 1, tzinfo=UTC),
        description="First hourly partition, ISO time, UTC; empty means where the history of `make dev` begins in this "
        "HOME, else 2025-01-01T00:00Z",
    )
    lake_url: Place = Field(
        "", description="Lake root: a folder or gs://bucket[/prefix]; empty means HOME/lake (target local)"
    )
    warehouse_path: LocalPath | None = Field(
        None, description="DuckDB file; empty means HOME/warehouse.duckdb"
    )
    warehouse_lock_timeout_seconds: int = Field(
        3600, ge=0, description="How long a run waits, s, for another process to release the DuckDB file"
    )
    lake_retention_days: int = Field(
        0,
        ge=0,
        description="Days after which the bucket's life cycle may delete objects; older hours are left alone. "
        "0: the lake keeps all",
    )
    hours_per_step: int = Field(
        744,
        ge=1,
        le=4000,  # the most partitions of a table that one statement of BigQuery may change
        description="Hours that one dbt invocation covers at most; a longer range takes several",
    )

    dagster_runtime: Literal["own", "stock"] = Field(
        "own",
        description="Whether event log, run launcher, dbt and reports on hours are this project's or Dagster's own, "
        "for when an upgrade of Dagster breaks them (docs/dagster-runtime.md)",
    )

    gcp_project: str = Field("", description="Google Cloud project of BigQuery and of a lake in a bucket")
    bigquery_dataset: str = Field("streaming_assets", description="BigQuery dataset")
    bigquery_location: str = Field("US", description="BigQuery location")
    bigquery_maximum_bytes_billed: int = Field(
        1_099_511_627_776, ge=10_485_760, description="Bytes billed above which BigQuery refuses a query"
    )
    bigquery_usd_per_tib: float = Field(
        6.25, ge=0, description="Price of 2^40 bytes billed, USD, for the cost in materialisations' metadata"
    )
    pubsub_subscription: str = Field(
        "",
        description="Subscription to the bucket's notifications, projects/P/subscriptions/S, that wakes the object "
        "sensor; empty means that it lists at each tick (target gcp)",
    )
    relist_seconds: int = Field(
        600, ge=5, description="With a subscription, how long, s, the sensor lists nothing unless notified"
    )

    kafka_bootstrap_servers: Brokers = Field(
        "", description="Address of a Kafka broker, host:port[,host:port]; empty means the embedded broker"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the connection to Kafka"
    )
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "", description="SASL mechanism, for a SASL_* protocol"
    )
    kafka_sasl_username: str = Field("", description="SASL user name")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="SASL password")
    kafka_sasl_password_file: LocalPath | None = Field(
        None, description="File that holds the SASL password, instead of the variable"
    )
    kafka_ca_file: LocalPath | None = Field(
        None, description="PEM file of the broker's certificate authority"
    )
    kafka_connect_url: str = Field(
        "", description="REST address of Kafka Connect, http://host:port; empty where the Python sink is used"
    )
    kafka_plugins: LocalPath | None = Field(
        None,
        description="Folder of Kafka Connect plugins, one subfolder each; empty means HOME/kafka/plugins",
    )
    kafka_downloads: LocalPath | None = Field(
        None,
        description="Folder of what `kafka up` downloads; empty means HOME/kafka/downloads",
    )
    sink_group_id: str = Field("streaming-assets-sink", description="Consumer group of the Python sink")
    sink_flush_seconds: float = Field(
        15.0, gt=0, description="Greatest age, s, of a buffered record before the sink writes its object"
    )
    sink_flush_bytes: int = Field(
        67_108_864, ge=65_536, description="Buffered bytes of events at which the sink writes all objects"
    )

    lookback_hours: int = Field(
        48, ge=1, description="Ingestion hours before now that the object sensor watches"
    )
    sensor_interval_seconds: int = Field(
        5, ge=5, description="Least time, s, between two looks of the object sensor"
    )
    event_retention_hours: float | None = Field(
        None,
        gt=0,
        description="Age, h, at which Dagster's log loses runs' details and what newer events supersede; empty means "
        "2 on target local, 720 (30 days) on gcp",
    )
    quarantine_warn_share: float = Field(
        0.01, ge=0, le=1, description="Share of an hour's rows in quarantine above which a check warns"
    )

    songs_source: Place = Field(
        "bundled", description="Songs file: https:// address, path (TSV, plain or gzip), or 'bundled'"
    )
    locations_source: Place = Field(
        "bundled", description="Postal codes: https:// address, path (GeoNames TSV), or 'bundled'"
    )

    simulator_config: LocalPath | None = Field(
        None, description="eventsim configuration (JSON) of `make dev`; empty means the bundled one"
    )
    simulator_users: int = Field(5000, ge=1, description="Users that `make dev` simulates at the start")
    simulator_growth_rate: float = Field(0.5, ge=0, description="Yearly growth of those users")
    simulator_seed: int = Field(42, description="Seed of that simulation")
    simulator_history_hours: int = Field(
        504,  # the dashboards compare weeks
        ge=0,
        description="Hours of history that the first `make dev` writes",
    )

    subscription_price_usd: float = Field(
        4.99, ge=0, description="Price of a month on level paid, USD, for the KPI page"
    )
    stale_after_minutes: int = Field(
        90, ge=1, description="Age, min, of the newest hour above which the dashboards warn"
    )
    bind_host: str = Field("127.0.0.1", description="Address that the web server and dashboards listen on")
    dagster_port: int = Field(3000, ge=1, le=65535, description="Port of Dagster's web server")
    dashboards_port: int = Field(8050, ge=1, le=65535, description="Port of the dashboards")

    @model_validator(mode="after")
    def _fill_and_check(self) -> "Settings":
        if self.warehouse_path is None:
            self.warehouse_path = self.home / "warehouse.duckdb"
        if self.event_retention_hours is None:
            self.event_retention_hours = 2 if self.target == "local" else 720
        if "first_hour" not in self.model_fields_set:
            self.first_hour = start_of_history(self.dev_state_file) or self.first_hour
        for name, path in (("HOME", self.home), ("WAREHOUSE_PATH", self.warehouse_path)):
            if set("#?") & set(str(path)):
                raise ValueError(
                    f"{name}={path} must hold neither # nor ?: DuckDB, dbt and SQLite take them for parts of an address"
                )
        self.kafka_plugins = self.kafka_plugins or self.kafka_home / "plugins"
        self.kafka_downloads = self.kafka_downloads or self.kafka_home / "downloads"
        self.warehouse = self.warehouse or ("duckdb" if self.target == "local" else "bigquery")
        if self.target == "gcp" and not self.lake_url.startswith("gs://"):
            raise ValueError("LAKE_URL must be gs://bucket[/prefix] when TARGET is gcp")
        self.lake_url = self.lake_url or str(self.home / "lake")
        if self.warehouse == "bigquery" and not self.lake_url.startswith("gs://"):
            raise ValueError("LAKE_URL must be gs://bucket[/prefix] when WAREHOUSE is bigquery")
        if self.warehouse == "bigquery" and not self.gcp_project:
            raise ValueError("GCP_PROJECT must be set when the warehouse is bigquery")
        if self.kafka_sasl_password_file is not None:
            try:
                self.kafka_sasl_password = SecretStr(self.kafka_sasl_password_file.read_text().strip())
            except OSError as error:
                raise ValueError(f"KAFKA_SASL_PASSWORD_FILE can't be read: {error}") from error
        if self.kafka_security_protocol.startswith("SASL") and not self.kafka_sasl_mechanism:
            raise ValueError("KAFKA_SASL_MECHANISM must be set when KAFKA_SECURITY_PROTOCOL is SASL_*")
        return self

    @property
    def dead_letter_topic(self) -> str:
        """Topic and lake prefix of records that the sink can't write; fixed, since the warehouse reads it by name."""
        return DEAD_LETTERS.topic

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's instance (runs, event log, schedules)."""
        return self.home / "dagster_home"

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB file."""
        assert self.warehouse_path is not None  # filled by the validator
        return self.warehouse_path

    @property
    def kafka_home(self) -> Path:
        """Folder of what `kafka up` runs: state, data, logs, plugins, downloads."""
        return self.home / "kafka"

    @property
    def published_dir(self) -> Path:
        """Folder of the snapshot that the dashboards read."""
        return self.home / "published"

    @property
    def dev_state_file(self) -> Path:
        """What `make dev` remembers between starts, among it the hour at which its history begins."""
        return self.home / "dev.json"

    @property
    def logs_dir(self) -> Path:
        """Folder of what the services of `make dev` say, a file each."""
        return self.home / "logs"

    @property
    def broker_file(self) -> Path:
        """File in which a running embedded broker leaves its address and stream epoch."""
        return self.home / "broker.json"


def start_of_history(file: Path) -> datetime | None:
    """Since when the local system simulates, from what it remembers; None where it never ran.

    Raises:
        ValueError: the file can't be read, or holds no such hour.
    """
    try:
        return _utc_hour(datetime.fromisoformat(json.loads(file.read_text())["start"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"FIRST_HOUR is not set, and {file}, which would tell it, can't be read ({error!r}): set it, or "
            "forget all local state with `make clean-local`"
        ) from None


def env_name(field: str) -> str:
    """The environment variable of a setting."""
    return ENV_PREFIX + field.upper()


def load_settings() -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: a variable with the project's prefix is no setting, or a value is impossible.
    """
    known = {env_name(field) for field in Settings.model_fields}
    for name in sorted(_given(os.environ) | _given(_env_file())):
        if name.upper() not in known:
            own_part = name.upper().removeprefix(ENV_PREFIX).lower()
            close = difflib.get_close_matches(own_part, Settings.model_fields, n=1)
            hint = f"; did you mean {env_name(close[0])}?" if close else ";"
            raise SettingsError(f"{name} is no setting{hint} `streaming-assets settings` lists them all")
    try:
        return Settings()  # pyright: ignore[reportCallIssue]  # the values come from the environment
    except ValidationError as error:
        raise SettingsError("\n".join(_readable(error))) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings, read once a process."""
    return load_settings()


def setting_rows() -> Iterator[tuple[str, str, str, str]]:
    """(environment name, value in force, source, meaning) of each setting; secrets are masked."""
    settings = load_settings()
    sources = dict.fromkeys(map(str.upper, _given(_env_file())), ENV_FILE)
    sources |= dict.fromkeys(map(str.upper, _given(os.environ)), "environment")
    if settings.dev_state_file.exists():
        sources = {env_name("first_hour"): settings.dev_state_file.name} | sources
    for field, info in Settings.model_fields.items():
        name = env_name(field)
        yield name, str(getattr(settings, field)), sources.get(name, "default"), info.description or ""


def _env_file() -> Mapping[str, str | None]:
    return dotenv_values(ENV_FILE) if Path(ENV_FILE).exists() else {}


def _given(variables: Mapping[str, str | None]) -> set[str]:
    """The names of the project's variables that have a value; names count in any case, as pydantic reads them."""
    return {name for name, value in variables.items() if value and name.upper().startswith(ENV_PREFIX)}


def _readable(error: ValidationError) -> Iterator[str]:
    for issue in error.errors():
        if issue["loc"]:
            name = env_name(str(issue["loc"][0]))
            yield f"{name}={issue.get('input')!r} is impossible: {issue['msg']}"
        else:
            yield ENV_PREFIX + issue["msg"].removeprefix("Value error, ")
