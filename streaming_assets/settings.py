"""Every setting of the project, typed, with its environment name and meaning.

Nothing else reads the environment. Values come from, first wins: the environment
(`STREAMING_ASSETS_<NAME>`), the file `.env` in the working directory, the default. An empty value is none.

In code they are by subject, `settings.kafka.bootstrap_servers`; outside each has one name, `kafka_bootstrap_servers`,
which is its subject's and its own, or its alias: a name that was there before the subjects.
"""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo

from streaming_assets.events import DEAD_LETTERS
from streaming_assets.subjects import (
    BigQuerySettings,
    DagsterSettings,
    DashboardsSettings,
    KafkaSettings,
    LakeSettings,
    LocalPath,
    MonitoringSettings,
    ReferenceSettings,
    SimulatorSettings,
    SinkSettings,
    WarehouseSettings,
    WebSettings,
)

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


UtcHour = Annotated[datetime, AfterValidator(_utc_hour)]


class Settings(BaseModel):
    """The settings in force. Times are UTC, sizes bytes, intervals seconds unless named otherwise."""

    model_config = ConfigDict(extra="forbid")

    target: Literal["local", "gcp"] = Field(
        default="local",
        description="The usual pairs of lake and warehouse: a folder and DuckDB, or GCS and BigQuery",
    )
    home: LocalPath = Field(
        default=PROJECT_ROOT / ".local",
        description="Folder of all local state: lake/, warehouse.duckdb, dagster_home/",
    )
    first_hour: UtcHour = Field(
        default=datetime(2025, 1, 1, tzinfo=UTC),
        description="First hourly partition, ISO time, UTC; empty means where the history of `make dev` begins in this "
        "HOME, else 2025-01-01T00:00Z",
    )
    lake: LakeSettings = Field(default_factory=LakeSettings)
    warehouse: WarehouseSettings = Field(default_factory=WarehouseSettings)
    bigquery: BigQuerySettings = Field(default_factory=BigQuerySettings)
    dagster: DagsterSettings = Field(default_factory=DagsterSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    sink: SinkSettings = Field(default_factory=SinkSettings)
    reference: ReferenceSettings = Field(default_factory=ReferenceSettings)
    simulator: SimulatorSettings = Field(default_factory=SimulatorSettings)
    dashboards: DashboardsSettings = Field(default_factory=DashboardsSettings)
    web: WebSettings = Field(default_factory=WebSettings)

    @model_validator(mode="before")
    @classmethod
    def _by_subject(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The values by subject, those given by their names outside as well."""
        sorted_out: dict[str, Any] = {}
        for name, value in values.items():
            place = None if isinstance(value, BaseModel) else declared().get(name)
            if place is None or place.subject is None:
                sorted_out[name] = value
            else:
                sorted_out[place.subject] = {**sorted_out.get(place.subject, {}), place.key: value}
        return sorted_out

    @model_validator(mode="after")
    def _fill_and_check(self) -> "Settings":
        lake, warehouse, kafka, dagster = self.lake, self.warehouse, self.kafka, self.dagster
        warehouse.path = warehouse.path or self.home / "warehouse.duckdb"
        warehouse.kind = warehouse.kind or ("duckdb" if self.target == "local" else "bigquery")
        kafka.plugins = kafka.plugins or self.kafka_home / "plugins"
        kafka.downloads = kafka.downloads or self.kafka_home / "downloads"
        if dagster.event_retention_hours is None:
            dagster.event_retention_hours = 2 if self.target == "local" else 720
        if "first_hour" not in self.model_fields_set:
            self.first_hour = start_of_history(self.dev_state_file) or self.first_hour
        for name, path in (("HOME", self.home), ("WAREHOUSE_PATH", warehouse.path)):
            if set("#?") & set(str(path)):
                raise ValueError(
                    f"{name}={path} must hold neither # nor ?: DuckDB, dbt and SQLite take them for parts of an address"
                )
        if self.target == "gcp" and not lake.url.startswith("gs://"):
            raise ValueError("LAKE_URL must be gs://bucket[/prefix] when TARGET is gcp")
        lake.url = lake.url or str(self.home / "lake")
        if warehouse.kind == "bigquery" and not lake.url.startswith("gs://"):
            raise ValueError("LAKE_URL must be gs://bucket[/prefix] when WAREHOUSE is bigquery")
        if warehouse.kind == "bigquery" and lake.seal_after_days:
            raise ValueError(
                "LAKE_SEAL_AFTER_DAYS must be 0 when the warehouse is bigquery, which reads objects as they lie"
            )
        if warehouse.kind == "bigquery" and not self.bigquery.project:
            raise ValueError("GCP_PROJECT must be set when the warehouse is bigquery")
        if kafka.sasl_password_file is not None:
            try:
                kafka.sasl_password = SecretStr(kafka.sasl_password_file.read_text().strip())
            except OSError as error:
                raise ValueError(f"KAFKA_SASL_PASSWORD_FILE can't be read: {error}") from error
        if kafka.security_protocol.startswith("SASL") and not kafka.sasl_mechanism:
            raise ValueError("KAFKA_SASL_MECHANISM must be set when KAFKA_SECURITY_PROTOCOL is SASL_*")
        return self

    def changed(self, **values: object) -> "Settings":
        """These settings but for some values, by their names outside; nothing is filled in anew.

        Raises:
            KeyError: a name is no setting.
        """
        copy = self.model_copy(deep=True)
        for name, value in values.items():
            place = declared()[name]
            setattr(copy if place.subject is None else getattr(copy, place.subject), place.field, value)
        return copy

    @property
    def dead_letter_topic(self) -> str:
        """Topic and lake prefix of records that the sink can't write; fixed, since the warehouse reads it by name."""
        return DEAD_LETTERS.topic

    @property
    def dagster_home(self) -> Path:
        """Folder of Dagster's instance (runs, event log, schedules)."""
        return self.home / "dagster_home"

    @property
    def host_names(self) -> str:
        """Names, comma-separated, by which web server and dashboards are reached beside localhost and IP addresses."""
        return ",".join(filter(None, (self.web.bind_host.lower(), self.web.allowed_hosts)))

    @property
    def kafka_home(self) -> Path:
        """Folder of what `kafka up` runs: state, data, logs, plugins, downloads."""
        return self.home / "kafka"

    @property
    def pages_url(self) -> str:
        """Address of Dagster's pages for people; empty if it is not known."""
        own = f"http://{self.web.bind_host}:{self.dagster.port}"
        return self.dagster.url or (own if self.target == "local" else "")

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


@dataclass(frozen=True)
class Declared:
    """Where a setting is: its subject (None: Settings itself), its field there, and what is said of it."""

    subject: str | None
    field: str
    info: FieldInfo

    @property
    def key(self) -> str:
        """The name by which its subject takes it."""
        return str(self.info.validation_alias or self.field)

    def of(self, settings: Settings) -> object:
        """Its value in force."""
        return getattr(settings if self.subject is None else getattr(settings, self.subject), self.field)


@cache
def declared() -> dict[str, Declared]:
    """All settings by their names outside, in the order in which they are declared, those without a subject first."""
    alone: dict[str, Declared] = {}
    by_subject: dict[str, Declared] = {}
    for name, info in Settings.model_fields.items():
        if not (isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)):
            alone[name] = Declared(None, name, info)
            continue
        for field, its in info.annotation.model_fields.items():
            by_subject[str(its.validation_alias or f"{name}_{field}")] = Declared(name, field, its)
    return alone | by_subject


def load_settings() -> Settings:
    """Read and check the settings.

    Raises:
        SettingsError: a variable with the project's prefix is no setting, or a value is impossible.
    """
    given = _given(_env_file()) | _given(os.environ)
    for variable in sorted(given):
        if (name := _name_of(variable)) not in declared():
            close = difflib.get_close_matches(name, declared(), n=1)
            hint = f"; did you mean {env_name(close[0])}?" if close else ";"
            raise SettingsError(f"{variable} is no setting{hint} `streaming-assets settings` lists them all")
    values = {_name_of(variable): value for variable, value in given.items()}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_readable(error))) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings, read once a process."""
    return load_settings()


def setting_rows() -> Iterator[tuple[str, str, str, str]]:
    """(environment name, value in force, source, meaning) of each setting; secrets are masked."""
    settings = load_settings()
    sources = dict.fromkeys(map(_name_of, _given(_env_file())), ENV_FILE)
    sources |= dict.fromkeys(map(_name_of, _given(os.environ)), "environment")
    if settings.dev_state_file.exists():
        sources = {"first_hour": settings.dev_state_file.name} | sources
    for name, setting in declared().items():
        value, meaning = str(setting.of(settings)), setting.info.description or ""
        yield env_name(name), value, sources.get(name, "default"), meaning


def _env_file() -> Mapping[str, str | None]:
    return dotenv_values(ENV_FILE) if Path(ENV_FILE).exists() else {}


def _given(variables: Mapping[str, str | None]) -> dict[str, str]:
    """The project's variables that have a value; their names count in any case."""
    return {
        variable: value
        for variable, value in variables.items()
        if value and variable.upper().startswith(ENV_PREFIX)
    }


def _name_of(variable: str) -> str:
    return variable.upper().removeprefix(ENV_PREFIX).lower()


def _readable(error: ValidationError) -> Iterator[str]:
    names = {(place.subject, place.key): name for name, place in declared().items()}
    for issue in error.errors():
        if issue["loc"]:
            *subject, field = map(str, issue["loc"][:2])
            name = env_name(names.get((subject[0] if subject else None, field), field))
            yield f"{name}={issue.get('input')!r} is impossible: {issue['msg']}"
        else:
            yield ENV_PREFIX + issue["msg"].removeprefix("Value error, ")
