"""Settings: where values come from, what is refused and how, and what a person sees of them."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streaming_assets.cli import app, main
from streaming_assets.settings import (
    PROJECT_ROOT,
    SettingsError,
    declared,
    env_name,
    get_settings,
    load_settings,
    setting_rows,
)


class Environment:
    """The two places that settings are read from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch = monkeypatch
        self._file = folder / ".env"

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(env_name(name), value)

    def set_in_file(self, **values: str) -> None:
        self._file.write_text("".join(f"{env_name(name)}={value}\n" for name, value in values.items()))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    """Nothing set, and a working directory of its own without .env."""
    for field in declared():
        monkeypatch.delenv(env_name(field), raising=False)
    monkeypatch.chdir(tmp_path)
    return Environment(monkeypatch, tmp_path)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert settings.target == "local"
    assert settings.lake.url == str(PROJECT_ROOT / ".local" / "lake")
    assert settings.warehouse.file == PROJECT_ROOT / ".local" / "warehouse.duckdb"
    assert settings.dagster_home == PROJECT_ROOT / ".local" / "dagster_home"


def test_the_environment_wins_over_the_file_over_the_default(environment: Environment) -> None:
    assert load_settings().dagster.lookback_hours == 48
    environment.set_in_file(lookback_hours="12")
    assert load_settings().dagster.lookback_hours == 12
    environment.set(lookback_hours="6")
    assert load_settings().dagster.lookback_hours == 6


def test_an_empty_value_is_as_good_as_none(environment: Environment) -> None:
    """Compose files and shells pass unset variables on as empty ones."""
    environment.set_in_file(sink_group_id="mine")
    environment.set(warehouse_path="", dagster_port="", lake_url="", sink_group_id="")
    settings = load_settings()
    assert settings.warehouse.file == settings.home / "warehouse.duckdb"
    assert settings.dagster.port == 3000
    assert settings.lake.url == str(settings.home / "lake")
    assert settings.sink.group_id == "mine"


def test_all_local_state_follows_home(environment: Environment, tmp_path: Path) -> None:
    environment.set(home=str(tmp_path / "state"))
    settings = load_settings()
    paths = [
        settings.warehouse.file,
        Path(settings.lake.url),
        settings.dagster_home,
        settings.published_dir,
        settings.broker_file,
    ]
    assert {path.parent for path in paths} == {tmp_path / "state"}


def test_relative_paths_mean_the_same_in_every_process(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made absolute when settings are read, before any process changes its directory."""
    environment.set(home="state", warehouse_path="w.duckdb", lake_url="lake", songs_source="songs.tsv")
    settings = load_settings()
    assert settings.home == tmp_path / "state"
    assert settings.warehouse.file == tmp_path / "w.duckdb"
    assert settings.lake.url == str(tmp_path / "lake")
    assert settings.reference.songs_source == str(tmp_path / "songs.tsv")
    monkeypatch.setenv("HOME", str(tmp_path))
    environment.set(home="~/elsewhere")
    assert load_settings().home == tmp_path / "elsewhere"


def test_addresses_are_left_as_they_are(environment: Environment) -> None:
    environment.set(lake_url="gs://bucket/prefix", locations_source="https://example.org/US.txt")
    settings = load_settings()
    assert settings.lake.url == "gs://bucket/prefix"
    assert settings.reference.locations_source == "https://example.org/US.txt"
    assert settings.reference.songs_source == "bundled"


@pytest.mark.parametrize("text", ["2025-03-01T05:00Z", "2025-03-01T06:00+01:00", "2025-03-01 05:00"])
def test_the_first_hour_is_an_hour_of_utc(environment: Environment, text: str) -> None:
    environment.set(first_hour=text)
    first_hour = load_settings().first_hour
    assert first_hour == datetime(2025, 3, 1, 5, tzinfo=UTC)
    assert first_hour.tzinfo is UTC


def test_the_first_hour_is_where_the_history_of_this_home_begins(
    environment: Environment, tmp_path: Path
) -> None:
    environment.set(home=str(tmp_path))
    assert load_settings().first_hour == datetime(2025, 1, 1, tzinfo=UTC)
    assert sources()["STREAMING_ASSETS_FIRST_HOUR"] == "default"
    (tmp_path / "dev.json").write_text('{"start": "2025-03-01T05:00:00+00:00"}')
    environment.set(first_hour="")
    assert load_settings().first_hour == datetime(2025, 3, 1, 5, tzinfo=UTC)
    assert sources()["STREAMING_ASSETS_FIRST_HOUR"] == "dev.json"
    environment.set(first_hour="2025-02-01T00:00Z")
    assert load_settings().first_hour == datetime(2025, 2, 1, tzinfo=UTC)
    assert sources()["STREAMING_ASSETS_FIRST_HOUR"] == "environment"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"start": 5}', '{"start": "2025-03-01T05:30Z"}', '{"start": "2999-01-01"}']
)
def test_a_history_that_tells_no_first_hour_is_named_with_the_ways_out(
    environment: Environment, tmp_path: Path, text: str
) -> None:
    environment.set(home=str(tmp_path))
    (tmp_path / "dev.json").write_text(text)
    with pytest.raises(
        SettingsError, match=r"FIRST_HOUR is not set, and .*dev\.json.*: set it, or .*clean-local"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("STREAMING_ASSETS_LOOKBACK_HOUR", "STREAMING_ASSETS_LOOKBACK_HOURS"),
        ("STREAMING_ASSETS_HOMES", "STREAMING_ASSETS_HOME"),
        ("STREAMING_ASSETS_KAFKA_BOOTSTRAP", "STREAMING_ASSETS_KAFKA_BOOTSTRAP_SERVERS"),
        ("streaming_assets_targt", "STREAMING_ASSETS_TARGET"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_meant(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv(given, "x")
    with pytest.raises(SettingsError, match=f"{given} is no setting; did you mean {meant}"):
        load_settings()


def test_a_name_like_no_other_is_refused_in_the_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_PROGRAM=fine\nSTREAMING_ASSETS_XYZZY=1\n")
    with pytest.raises(
        SettingsError, match="STREAMING_ASSETS_XYZZY is no setting; `streaming-assets settings`"
    ):
        load_settings()


def test_names_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("streaming_assets_lookback_hours", "5")
    assert load_settings().dagster.lookback_hours == 5
    assert sources()["STREAMING_ASSETS_LOOKBACK_HOURS"] == "environment"


IMPOSSIBLE = {
    "target": ("aws", "'local' or 'gcp'"),
    "first_hour": ("2025-01-01T00:30Z", "must be a whole hour, such as 2025-01-01T00:00Z"),
    "dagster_port": ("70000", "less than or equal to 65535"),
    "dashboards_port": ("http", "valid integer"),
    "allowed_hosts": ("https://dagster.example.com", r"must be name\[,name\], without scheme and port"),
    "sensor_interval_seconds": ("1", "greater than or equal to 5"),
    "sink_flush_bytes": ("1", "greater than or equal to 65536"),
    "quarantine_warn_share": ("1.5", "less than or equal to 1"),
    "kafka_security_protocol": ("TLS", "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
    "kafka_bootstrap_servers": ("broker", r"must be host:port\[,host:port\]"),
}


@pytest.mark.parametrize(("field", "value", "allowed"), [(k, *v) for k, v in IMPOSSIBLE.items()])
def test_an_impossible_value_is_refused_with_name_and_what_is_allowed(
    environment: Environment, field: str, value: str, allowed: str
) -> None:
    environment.set(**{field: value})
    with pytest.raises(SettingsError, match=f"{env_name(field)}='{value}' is impossible: .*{allowed}"):
        load_settings()


def test_a_first_hour_that_is_still_to_come_is_refused(environment: Environment) -> None:
    environment.set(first_hour="2999-01-01T00:00Z")
    with pytest.raises(SettingsError, match=r"STREAMING_ASSETS_FIRST_HOUR.*must not lie in the future"):
        load_settings()


def test_all_impossible_values_are_told_at_once(environment: Environment) -> None:
    environment.set(target="aws", dagster_port="0")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).count("is impossible") == 2


INCOMPLETE = {
    "gcp without a lake": ({"target": "gcp", "gcp_project": "p"}, "LAKE_URL must be gs://"),
    "gcp with a folder": (
        {"target": "gcp", "gcp_project": "p", "lake_url": "/lake"},
        "LAKE_URL must be gs://bucket",
    ),
    "bigquery over a folder": ({"warehouse": "bigquery", "gcp_project": "p"}, "LAKE_URL must be gs://bucket"),
    "bigquery with sealed hours": (
        {"target": "gcp", "gcp_project": "p", "lake_url": "gs://b", "lake_seal_after_days": "7"},
        "LAKE_SEAL_AFTER_DAYS must be 0",
    ),
    "gcp without a project": ({"target": "gcp", "lake_url": "gs://b"}, "GCP_PROJECT must be set"),
    "SASL without a mechanism": (
        {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "u", "kafka_sasl_password": "p"},
        "KAFKA_SASL_MECHANISM must be set",
    ),
    "a password file that is not there": (
        {"kafka_sasl_password_file": "/nowhere/password"},
        "KAFKA_SASL_PASSWORD_FILE can't be read.*nowhere",
    ),
}


@pytest.mark.parametrize(("values", "message"), INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_settings_that_need_others_say_so(
    environment: Environment, values: dict[str, str], message: str
) -> None:
    environment.set(**values)
    with pytest.raises(SettingsError, match=f"^STREAMING_ASSETS_{message}"):
        load_settings()


def test_gcp_with_all_that_it_needs(environment: Environment) -> None:
    environment.set(target="gcp", gcp_project="p", lake_url="gs://bucket")
    assert load_settings().target == "gcp"


def test_lake_and_warehouse_are_apart(environment: Environment) -> None:
    """Production's lake with a warehouse on a laptop needs no project."""
    environment.set(lake_url="gs://bucket")
    assert load_settings().warehouse.kind == "duckdb"
    environment.set(target="gcp", warehouse="duckdb")
    assert load_settings().warehouse.kind == "duckdb"


def sources() -> dict[str, str]:
    return {name: source for name, _, source, _ in setting_rows()}


def test_each_row_tells_name_value_source_and_meaning(environment: Environment) -> None:
    environment.set_in_file(lookback_hours="12")
    environment.set(dagster_port="3001")
    rows = {name: (value, source, meaning) for name, value, source, meaning in setting_rows()}
    assert rows.keys() == {env_name(field) for field in declared()}
    assert rows["STREAMING_ASSETS_LOOKBACK_HOURS"][:2] == ("12", ".env")
    assert rows["STREAMING_ASSETS_DAGSTER_PORT"][:2] == ("3001", "environment")
    assert rows["STREAMING_ASSETS_BIND_HOST"][:2] == ("127.0.0.1", "default")
    assert all(meaning for _, _, meaning in rows.values())


def test_an_empty_variable_is_not_named_as_the_source(environment: Environment) -> None:
    environment.set(dagster_port="")
    assert sources()["STREAMING_ASSETS_DAGSTER_PORT"] == "default"


@pytest.mark.parametrize("way", ["variable", "file"])
def test_secrets_are_never_shown(environment: Environment, tmp_path: Path, way: str) -> None:
    if way == "variable":
        environment.set(kafka_sasl_password="hunter2")
    else:
        (tmp_path / "password").write_text("hunter2\n")
        environment.set(kafka_sasl_password_file=str(tmp_path / "password"))
    settings = load_settings()
    assert settings.kafka.sasl_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in CliRunner().invoke(app, ["settings"]).output


def test_the_command_prints_all_of_it(environment: Environment) -> None:
    environment.set(sink_group_id="[bold]mine[/bold]")  # no markup, a value
    result = CliRunner().invoke(app, ["settings"])
    assert result.exit_code == 0
    for field in declared():
        assert env_name(field) in result.output
    assert "[bold]mine[/bold]" in result.output


def test_a_command_ends_with_the_message_alone(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.set(target="aws")
    monkeypatch.setattr("sys.argv", ["streaming-assets", "settings"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("settings: STREAMING_ASSETS_TARGET='aws' is impossible")


def test_a_process_reads_its_settings_once(environment: Environment) -> None:
    get_settings.cache_clear()
    try:
        first = get_settings()
        environment.set(lookback_hours="1")
        assert get_settings() is first
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize("name", ["HOME", "WAREHOUSE_PATH"])
@pytest.mark.parametrize("sign", ["#", "?"])
def test_a_path_that_databases_take_for_an_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, sign: str
) -> None:
    path = tmp_path / f"a{sign}b"
    monkeypatch.setenv(f"STREAMING_ASSETS_{name}", str(path))
    with pytest.raises(SettingsError, match=f"{name}={re.escape(str(path))} must hold neither # nor"):
        load_settings()
