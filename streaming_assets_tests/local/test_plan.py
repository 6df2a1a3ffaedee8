"""What `make dev` would start, from the settings."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import yaml

from streaming_assets.lake.names import HOUR
from streaming_assets.local.plan import history_commands, services, simulation
from streaming_assets.settings import PROJECT_ROOT, Settings

START, NOW = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 8, 12, 30, 7, tzinfo=UTC)


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(home=tmp_path, simulator_users=7, simulator_growth_rate=0.25, simulator_seed=3, **given)


def test_the_broker_comes_first_and_only_where_no_other_is_named(tmp_path: Path) -> None:
    names = [service.name for service in services(settings(tmp_path), START, NOW)]
    assert names == ["broker", "sink", "simulator", "dagster", "dashboards"]
    real = settings(tmp_path, kafka_bootstrap_servers="kafka:9092")
    assert [service.name for service in services(real, START, NOW)] == names[1:]


def test_history_and_live_system_are_one_simulation(tmp_path: Path) -> None:
    """Other people would come to life if any argument differed."""
    ours = settings(tmp_path, simulator_config=tmp_path / "config.json")
    same = simulation(ours, START)
    history, backfill = history_commands(ours, START, NOW, NOW.replace(minute=0, second=0) + HOUR)
    live = next(service.command for service in services(ours, START, NOW) if service.name == "simulator")
    assert history[: len(same)] == live[: len(same)] == same
    assert same[1:] == (
        *("simulate", "--config", str(tmp_path / "config.json"), "--users", "7", "--growth-rate", "0.25"),
        *("--seed", "3", "--start", "2025-03-01T00:00:00+00:00"),
    )
    assert history[len(same) :] == ("--end", "2025-03-08T12:30:07+00:00", "--to", "lake")
    assert live[len(same) :] == (
        *("--resume-from", "2025-03-08T12:30:07+00:00", "--continuous", "--to", "kafka"),
    )
    assert backfill[1:] == ("backfill", "2025-03-01T00:00:00+00:00", "2025-03-08T13:00:00+00:00")


def test_the_bundled_configuration_is_not_named(tmp_path: Path) -> None:
    assert "--config" not in simulation(settings(tmp_path), START)


def test_services_listen_where_the_settings_say(tmp_path: Path) -> None:
    planned = services(settings(tmp_path, dagster_port=4001, dashboards_port=4002), START, NOW)
    assert {s.name: s.port for s in planned if s.port} == {"dagster": 4001, "dashboards": 4002}
    dagster = next(service.command for service in planned if service.name == "dagster")
    assert dagster[1:4] == ("-m", "streaming_assets.dagster_runtime.dev", "--workspace")
    assert dagster[-4:] == ("--host", "127.0.0.1", "--port", "4001")


def test_dagster_loads_what_pyproject_names_for_it(tmp_path: Path) -> None:
    command = next(s.command for s in services(settings(tmp_path), START, NOW) if s.name == "dagster")
    (location,) = yaml.safe_load(Path(command[4]).read_text())["load_from"]
    named = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert location["python_module"] == {
        "module_name": named["module_name"],
        "location_name": named["code_location_name"],
    }


def test_programs_are_those_of_this_environment(tmp_path: Path) -> None:
    for service in services(settings(tmp_path), START, NOW):
        assert Path(service.command[0]).is_file(), service.name
