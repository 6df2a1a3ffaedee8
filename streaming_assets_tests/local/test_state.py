"""What the local system remembers between starts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streaming_assets.local.state import LocalState, StateMismatch, simulation_settings
from streaming_assets.settings import Settings

START = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, simulator_users=7, simulator_seed=3)


@pytest.fixture
def state(settings: Settings) -> LocalState:
    return LocalState(START, START + timedelta(days=7), simulation_settings(settings))


def test_the_first_start_has_none(tmp_path: Path) -> None:
    assert LocalState.load(tmp_path / "dev.json") is None


def test_it_is_read_as_it_was_written(state: LocalState, tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    state.save(path)
    later = replace(state, alive_until=state.alive_until + timedelta(seconds=2))
    later.save(path)
    assert LocalState.load(path) == later
    assert [file.name for file in tmp_path.iterdir()] == ["dev.json"]


def test_there_is_history_once_it_reaches_beyond_the_start(state: LocalState) -> None:
    assert state.has_history
    assert not replace(state, alive_until=state.start).has_history


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"start": "2025-03-01", "alive_until": 5}'])
def test_a_file_that_is_none_is_named_with_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dev.json"
    path.write_text(text)
    with pytest.raises(StateMismatch, match=r"dev\.json can't be read .*`make clean-local` starts anew"):
        LocalState.load(path)


def test_the_same_settings_go_on(state: LocalState, settings: Settings, tmp_path: Path) -> None:
    state.check(settings)
    state.check(Settings(home=tmp_path / "moved", simulator_users=7, simulator_seed=3, dagster_port=4001))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"simulator_users": 8}, r"simulator_users changed since the first start \(it was 7\)"),
        ({"simulator_seed": 4, "simulator_users": 8}, r"simulator_users, simulator_seed changed .*7, 3\)"),
        ({"simulator_growth_rate": 2.0}, "simulator_growth_rate changed"),
        ({"simulator_config": "other.json"}, "simulator_config changed"),
    ],
)
def test_other_people_are_refused_by_the_settings_that_make_them(
    state: LocalState, tmp_path: Path, changed: dict, message: str
) -> None:
    given = {"simulator_users": 7, "simulator_seed": 3} | changed
    with pytest.raises(StateMismatch, match=f"{message}.*make clean-local"):
        state.check(Settings(home=tmp_path, **given))


def test_a_state_of_an_older_version_lacks_no_setting_silently(state: LocalState, settings: Settings) -> None:
    known = {name: value for name, value in state.simulation.items() if name != "simulator_seed"}
    with pytest.raises(StateMismatch, match="simulator_seed"):
        replace(state, simulation=known).check(settings)
    assert json.dumps(state.simulation), "it is kept as JSON"
