"""Faults of a configuration are named with their place in the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.simulator.config import DEFAULT_CONFIG, ConfigError, read_config
from streaming_assets.simulator.machine import compile_machine
from streaming_assets.simulator.making.site import default_config
from streaming_assets.simulator.validation import check
from streaming_assets_tests.simulator.configs import with_dead_advertisement, write_config

Document = dict[str, Any]


def line_of(path: Path, section: str, place: int) -> int:
    """Entries of the written file have a line each."""
    lines = path.read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f'  "{section}"'))
    return start + 1 + place + 1


def _too_likely(document: Document) -> None:
    document["transitions"][7]["p"] = 1.2


def _negative(document: Document) -> None:
    document["transitions"][7]["p"] = -0.1


def _sum_above_one(document: Document) -> None:
    document["transitions"][4]["p"] = 0.9


def _unknown_entry(document: Document) -> None:
    document["new-session"][2]["page"] = "Hoem"


def _hidden(document: Document) -> None:
    document["show-user-details"] = document["show-user-details"][1:]


def _loop(document: Document) -> None:
    for transition in document["transitions"]:
        if transition["source"]["page"] == "Cancel":
            transition["dest"] = transition["source"]
    document["transitions"] = [
        t for t in document["transitions"] if t["source"]["page"] != "Cancel" or t["p"] > 0.5
    ]
    for transition in document["transitions"]:
        if transition["source"]["page"] == "Cancel":
            transition["p"] = 1.0


def _no_entry(document: Document) -> None:
    document["new-session"] = [e for e in document["new-session"] if e["auth"] != "Logged Out"]


def _weightless(document: Document) -> None:
    document["new-session"][1]["weight"] = -3


ERRORS: dict[str, tuple[Callable[[Document], None], str, int | None, str]] = {
    "above 1": (_too_likely, "transitions", 7, "p is 1.2"),
    "below 0": (_negative, "transitions", 7, "p is -0.1"),
    "sum": (_sum_above_one, "transitions", 4, "sum to 1.4"),
    "unknown page": (_unknown_entry, "new-session", 2, "Hoem"),
    "not shown": (_hidden, "new-session", 0, "'Guest' is missing in show-user-details"),
    "endless": (_loop, "transitions", 46, "can't be left"),
    "no entry": (_no_entry, "auths", 2, "no new-session entry"),
    "weight": (_weightless, "new-session", 1, "weight -3"),
}


@pytest.mark.parametrize("fault", ERRORS)
def test_errors(fault: str, tmp_path: Path) -> None:
    spoil, section, place, text = ERRORS[fault]
    document = default_config()
    spoil(document)
    path = write_config(document, tmp_path / "site.json")
    with pytest.raises(ConfigError) as raised:
        check(read_config(path))
    messages = str(raised.value).splitlines()
    if fault == "endless":
        place = next(n for n, t in enumerate(document["transitions"]) if t["dest"]["page"] == "Cancel")
    assert place is not None
    where = f"site.json:{line_of(path, section, place)}: {section}[{place}]: "
    assert any(message.startswith(where) and text in message for message in messages), messages


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    document = default_config()
    _too_likely(document)
    _unknown_entry(document)
    document["alpha"] = 0
    with pytest.raises(ConfigError) as raised:
        check(read_config(write_config(document, tmp_path / "site.json")))
    assert len(str(raised.value).splitlines()) == 3


def test_the_bundled_configuration_has_no_faults() -> None:
    assert check(read_config(DEFAULT_CONFIG)) == []


def test_the_bundled_configuration_is_the_one_its_script_makes() -> None:
    assert json.loads(DEFAULT_CONFIG.read_text()) == default_config()


def test_dead_ends_and_unreachable_states_are_warned_of(tmp_path: Path) -> None:
    document = with_dead_advertisement(default_config())
    document["transition"] = []
    path = write_config(document, tmp_path / "site.json")
    warnings = check(read_config(path))
    ad = next(n for n, t in enumerate(document["transitions"]) if t["dest"]["page"] == "PlayAd")
    where = f"site.json:{line_of(path, 'transitions', ad)}: transitions[{ad}]"
    assert any(w.startswith(where) and "no way out" in w and "PUT" in w for w in warnings)
    assert any("PlayAd (PUT" in w and "can't be reached" in w for w in warnings)
    assert any("transition: this key is not known" in w for w in warnings)


def test_users_who_cannot_come_back_are_warned_of(tmp_path: Path) -> None:
    document = default_config()
    document["churned-state"] = "Gone"
    warnings = check(read_config(write_config(document, tmp_path / "site.json")))
    assert any("(Cancelled, free) can't begin another" in w for w in warnings)


def test_a_pair_listed_twice_counts_with_its_sum(tmp_path: Path) -> None:
    document = default_config()
    document["transitions"].append({**document["transitions"][0], "p": 0.2})
    config = read_config(write_config(document, tmp_path / "site.json"))
    assert any("is listed before, as transitions[0]" in warning for warning in check(config))
    machine = compile_machine(config)
    source = next(n for n, node in enumerate(machine.nodes) if node.state == config.transitions[0].source)
    assert dict(machine.exits[source])[source] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "site.json:1: no valid JSON"),
        ("[]", "must be one JSON object"),
        ('{\n"transitions": 3}', "a list with at least one entry is needed"),
        ('{"alpha": "fast"}', "site.json:1: alpha: 'fast' is no number"),
        ('{"levels": [{"level": "free"}]}', "levels[0]: 'weight' is missing"),
    ],
)
def test_misshapen_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_config(path)
    assert message in str(raised.value)


def test_a_date_that_is_none(tmp_path: Path) -> None:
    path = write_config(default_config() | {"start-date": "soon"}, tmp_path / "site.json")
    with pytest.raises(ConfigError, match="start-date: 'soon' is no ISO time"):
        read_config(path)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't read the configuration"):
        read_config(tmp_path / "none.json")


def test_other_versions_of_eventsim_leave_parts_out(tmp_path: Path) -> None:
    document = default_config()
    for key in ("new-user-auth", "alpha", "beta", "damping", "weekend-damping", "session-gap"):
        del document[key]
    document |= {"upgrades": [], "downgrades": [], "seed": 3.0, "start-date": "2015-07-01T00:00:00"}
    for entry in document["new-session"]:
        del entry["method"]
    for transition in document["transitions"]:
        del transition["source"]["method"], transition["dest"]["method"]
    config = read_config(write_config(document, tmp_path / "old.json"))
    check(config)
    assert (config.alpha, config.beta, config.rhythm.damping) == (60.0, 259_200.0, 0.0625)
    assert config.seed == 3
    assert config.start is not None
    assert config.start.year == 2015
