"""Contracts: what they declare, and what is said of one that does not hold together."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming_assets.contracts import ContractError, Filter, read_contracts, read_dead_letters
from streaming_assets.events import EVENT_TYPES
from streaming_assets.settings import PROJECT_ROOT

LISTENS = "models/sources/listen_events.yml"


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """A copy of the dbt project in which a text stands in place of another."""

    def edit(file: str, old: str, new: str) -> Path:
        project = tmp_path / "dbt_project"
        if not project.exists():
            shutil.copytree(PROJECT_ROOT / "dbt_project", project)
        path = project / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return project

    return edit


def test_each_field_that_models_read_has_a_column_in_snake_case() -> None:
    for event_type in EVENT_TYPES:
        for field in event_type.fields:
            if field.column:
                snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in field.name)
                assert field.column == snake


def test_a_contract_says_what_is_staged() -> None:
    views = next(kind for kind in EVENT_TYPES if kind.topic == "page_view_events")
    assert views.filter == Filter("auth", ("Logged In",))
    revenue = next(field for field in views.fields if field.name == "ad_revenue")
    assert (revenue.column, revenue.kind, revenue.required, revenue.minimum) == (
        "ad_revenue",
        "number",
        False,
        0,
    )
    names = {field.name for field in views.fields if field.personal}
    assert {"firstName", "lastName"} <= names


def test_known_values_are_listed_once() -> None:
    views = next(kind for kind in EVENT_TYPES if kind.topic == "page_view_events")
    by_name = {field.name: field for field in views.fields}
    assert by_name["auth"].values == ("Logged In", "Logged Out", "Guest", "Cancelled")
    assert {"PlayAd", "NextSong", "Submit Downgrade"} <= set(by_name["page"].values or ()), (
        "of page_categories"
    )
    assert by_name["city"].values is None


def test_every_field_says_what_it_is() -> None:
    assert [
        f"{kind.topic}.{field.name}" for kind in EVENT_TYPES for field in kind.fields if not field.description
    ] == []


MISTAKES = {
    "an unknown type": ("data_type: number", "data_type: decimal", r"line 25: duration is of type 'decimal'"),
    "an identity of no field": ("itemInSession, ts]", "itemInSession, at]", "identity names 'at', which is no"),
    "an event time of no field": ("event_time: ts", "event_time: at", "event_time names 'at'"),
    "an event time that tells none": ("event_time: ts", "event_time: userId", "whose column lacks time"),
    "an optional identity": ("column: session_id, required: true", "column: session_id", "which is not required"),
    "an identity that no model reads": ("{column: session_id, required: true, ", "{", "sessionId, which has no column"),
    "an unknown way to simulate": ("simulated: by_default", "simulated: true", "simulated is True; it may be"),
    "an unknown key": ("minimum: 0, maximum: 86400", "min: 0", "column duration has 'min'; it may have"),
    "an unknown key of the contract": ("event_time: ts", "event-time: ts", "contract has 'event-time'"),
    "a bound that is no number": ("maximum: 86400", "maximum: long", "duration has a maximum, which takes a number"),
    "no day": ('earliest: "2000-01-01"', "earliest: soon", "earliest of ts is 'soon'"),
    "a time of another type": ("time: epoch_ms", "time: iso_8601", "ts has time 'iso_8601' and type 'integer'"),
    "one column twice": ("column: song,", "column: artist,", "two fields of listen_events_ext have one column"),
    "values of a number": ("maximum: 86400", "values: [1]", "duration has values, which take a string"),
    "values of no var": ("column: artist", "values: artists, column: artist", "'artists': neither a list nor a var"),
    "a share beyond 1": ("{nulls: 0.2}", "{nulls: 20}", "usual nulls of city are 20, no share"),
    "an unknown habit": ("{nulls: 0.2}", "{nil: 0.2}", "usual of city has 'nil'; it may have mean, nulls, where"),
    "a mean with one bound": ("[30, 1800]", "[30]", r"usual mean of duration is \[30\], which takes"),
    "a filter by a number": ("event_time: ts", "filter: {field: ts, keep: [1]}", "ts, which is no string"),
    "a filter that keeps nothing": ("event_time: ts", "filter: {field: level}", "keeps None of level"),
    "an object and a part of it": ("name: city", "name: song.mood", r"song and song\.mood are fields: read an"),
    "days of what is not personal": ("column: artist", "retention_days: 30, column: artist", "of a personal field"),
    "no days": ("personal: true", "personal: true, retention_days: a month", "zip is 'a month'; it is a number"),
    "a required field for days": ("column: user_id", "personal: true, retention_days: 30, column: user_id", "not be"),
    "no YAML": ("version: 2", "version: [2", "is no YAML"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_file_and_line(
    edited: Callable[[str, str, str], Path], mistake: str
) -> None:
    old, new, told = MISTAKES[mistake]
    project = edited(LISTENS, old, new)
    with pytest.raises(ContractError, match=told) as raised:
        read_contracts(project)
    assert str(project / LISTENS) in str(raised.value)


def test_a_topic_that_is_listed_has_a_contract(edited: Callable[[str, str, str], Path]) -> None:
    project = edited("dbt_project.yml", "event_types: [listen_events", "event_types: [plays, listen_events")
    with pytest.raises(ContractError, match=r"lists 'plays' in event_types, but .* has no contract of it"):
        read_contracts(project)


def test_a_contract_is_listed(edited: Callable[[str, str, str], Path]) -> None:
    project = edited("dbt_project.yml", "event_types: [listen_events, ", "event_types: [")
    with pytest.raises(ContractError, match=r"add it to event_types in dbt_project\.yml"):
        read_contracts(project)


def test_dead_letters_are_declared_once(edited: Callable[[str, str, str], Path]) -> None:
    project = edited(
        "models/sources/dead_letters.yml", "dead_letters: {topic: connect_sink_gcs}", "other: {}"
    )
    with pytest.raises(ContractError, match="0 sources have"):
        read_dead_letters(project)
