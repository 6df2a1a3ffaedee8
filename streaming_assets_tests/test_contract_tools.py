"""`streaming-assets contract`: what a sample suggests, and what is told of contracts that do not hold."""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from streaming_assets.contract_tools.arrivals import Arrived, arrived, never, proposal, strangers
from streaming_assets.contract_tools.checking import check_project
from streaming_assets.contract_tools.inference import Draft, infer
from streaming_assets.contract_tools.names import columns_of
from streaming_assets.contract_tools.sampling import SampleError, read_sample
from streaming_assets.contract_tools.writing import contract_text
from streaming_assets.contracts import EventField, EventType, parse_contract
from streaming_assets.lake.folder import FolderLake
from streaming_assets.lake.names import ObjectName
from streaming_assets.settings import PROJECT_ROOT

HOUR = datetime(2025, 4, 1, 6, tzinfo=UTC)
Edit = Callable[[str, str, str], Path]


def drafted(*events: dict[str, Any], topic: str = "visits") -> Draft:
    return infer(topic, events)


def fields(draft: Draft) -> dict[str, EventField]:
    return {field.name: field for field in draft.event_type.fields}


def visit(number: int, **others: Any) -> dict[str, Any]:
    return {
        "visit": {"id": f"v{number}"},
        "at": 1_743_480_000_000 + number * 1000,
        "pages": number % 3,
        **others,
    }


def test_types_required_fields_identity_and_time_are_inferred() -> None:
    draft = drafted(
        *(visit(n, share=n / 4, ok=n % 2 == 0, **({"note": "x"} if n else {})) for n in range(50))
    )
    found = fields(draft)
    assert {name: f.kind for name, f in found.items()} == {
        "visit.id": "string", "at": "integer", "pages": "integer", "share": "number", "ok": "boolean", "note": "string"
    }  # fmt: skip
    assert found["visit.id"].column == "visit_id"
    assert found["at"].time == "epoch_ms"
    assert [name for name, f in found.items() if not f.required] == ["note"]
    assert (draft.event_type.identity, draft.event_type.event_time) == (("visit.id",), "at")
    assert draft.notes["pages"] == "in all: 0 (17), 1 (17), 2 (16)"


def test_the_draft_is_a_contract(tmp_path: Path) -> None:
    draft = drafted(*(visit(n, **{"first-name": "x", "tags": [1], "no": "y"}) for n in range(9)))
    text = contract_text(draft)
    (table,) = yaml.safe_load(text)["sources"][0]["tables"]
    read = parse_contract(tmp_path / "visits.yml", table)
    assert (read.topic, read.identity, read.event_time) == ("visits", ("visit.id",), "at")
    assert {f.name: (f.kind, f.column, f.required) for f in read.fields} == {
        f.name: (f.kind, f.column, f.required) for f in draft.event_type.fields
    }
    assert 'left out, since no contract can name it: "first-name"' in text
    assert fields(draft)["tags"].column is None


@pytest.mark.parametrize(
    ("values", "kind", "doubt"),
    [
        ([1] * 199 + ["x"], "integer", "1 string would be quarantined"),
        ([1, "x"] * 5, "string", "text takes all"),
        ([1, 2.5] * 5, "number", None),
        ([1_743_480_000 + n for n in range(9)], "integer", "look like seconds since 1970"),
        (["2025-04-01T00:00:00Z"] * 9, "string", None),
    ],
)
def test_what_a_sample_can_not_tell_is_asked(values: list[Any], kind: str, doubt: str | None) -> None:
    draft = drafted(*({"id": n, "it": value} for n, value in enumerate(values)))
    assert fields(draft)["it"].kind == kind
    told = " ".join(draft.doubts["it"])
    assert doubt in told if doubt else not told


def test_a_repeat_is_no_reason_against_an_identity() -> None:
    events = [visit(n) for n in range(20)]
    assert drafted(*events, *events).event_type.identity == ("visit.id",)


def test_several_fields_name_an_event_where_none_does() -> None:
    events = [{"user_id": n % 4, "at": 1_743_480_000_000 + n // 4 * 1000} for n in range(40)]
    draft = drafted(*events)
    assert draft.event_type.identity == ("user_id", "at")
    assert any("identity?" in doubt for doubt in draft.doubts[""])


def test_columns_are_such_as_sql_takes() -> None:
    assert columns_of(
        ["orderId", "order", "customer.email", "customer_email", "stream_epoch", "HTTPStatus"]
    ) == {
        "orderId": "order_id",
        "order": "event_order",
        "customer.email": "customer_email",
        "customer_email": "customer_email_2",
        "stream_epoch": "event_stream_epoch",
        "HTTPStatus": "http_status",
    }


def test_samples_are_files_gzip_or_folders_of_the_lake(tmp_path: Path) -> None:
    event = {"a": 1}
    (tmp_path / "plain.jsonl").write_text('{"a": 1}\nnot json\n[]\n')
    plain = read_sample(tmp_path / "plain.jsonl")
    assert (plain.events, plain.faulty) == ([event], 2)
    (tmp_path / "packed").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert read_sample(tmp_path / "packed").events == [event]
    lake = FolderLake(tmp_path / "lake")
    lake.write(str(ObjectName("t", HOUR, 0, 0)), gzip.compress(b'{"value":{"a":1},"offset":0}\n'))
    assert read_sample(tmp_path / "lake" / "raw" / "t").events == [event]
    (tmp_path / "nothing").write_text("no\n")
    with pytest.raises(SampleError, match="holds no event: 1 lines"):
        read_sample(tmp_path / "nothing")


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of the dbt project in which a text stands in place of another."""

    def edit(file: str, old: str, new: str) -> Path:
        project = tmp_path / "dbt_project"
        shutil.copytree(PROJECT_ROOT / "dbt_project", project)
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new, 1))
        return project

    return edit


def test_the_projects_own_contracts_hold() -> None:
    assert [*map(str, check_project(PROJECT_ROOT / "dbt_project"))] == []


LISTENS = "models/sources/listen_events.yml"
MISTAKES = {
    "a check that does not parse": (LISTENS, "round(duration, 2) > 0", "round(duration, > 0", "line 28: check of"),
    "a check of no column": (LISTENS, "round(duration, 2) > 0", "lenght > 0", "line 28: check of duration: .*lenght"),
    "a check that is no condition": (LISTENS, "round(duration, 2) > 0", "duration + 1", "is no condition"),
    "a mark": (LISTENS, "Songs played, as they arrived.", '"DECIDE: what"', "line 8: to be decided: what"),
    "no base model": ("dbt_project.yml", "event_types", "event_types", None),
    "another's base model": ("models/staging/base/base_listen_events.sql", "listen_events_ext", "users_ext", "no base"),
    "a staging model of another": ("models/staging/stg_listen_events.sql", "base_listen_events", "base_x", "not read"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_contract_that_does_not_hold_is_told(edited: Edit, mistake: str) -> None:
    file, old, new, told = MISTAKES[mistake]
    project = edited(file, old, new)
    if told is None:
        (project / "models/staging/base/base_listen_events.sql").unlink()
        told = "no model base_listen_events"
    (finding, *_) = [*map(str, check_project(project))]
    assert re.search(told, finding), finding


def test_fields_of_the_lake_are_held_to_the_contract(tmp_path: Path) -> None:
    lake = FolderLake(tmp_path)

    def put(offset: int, *values: dict[str, Any]) -> None:
        lines = [json.dumps({"value": value, "offset": offset + n}) for n, value in enumerate(values)]
        lake.write(str(ObjectName("t", HOUR, 0, offset)), gzip.compress("\n".join(lines).encode()))

    put(0, {"old": 1})
    put(1, {"a": 1, "who": {"is": 2}}, {"a": 3, "new": 4})
    put(3, {"a": 1, "gone": None})
    found = arrived(lake, "t", 2, HOUR)
    assert (found.objects, len(found.events)) == (2, 3)
    kind = EventType(
        "t",
        (
            EventField("a", "integer", required=True),
            EventField("who.is", "integer"),
            EventField("gone", "string"),
            EventField("must", "string", required=True),
        ),
        identity=("a",),
    )
    assert [*strangers(kind, found)] == [
        "new arrives, in 1 of 3 events, and no field of the contract has this name",
        "must is required, and in none of 3 events",
    ]
    assert never(kind, found) == ["gone"]
    assert (
        proposal(kind, found)
        == """\
          # seen in 1 of 3: 4 (1)
          - name: new
            description: "DECIDE: what it is"
            data_type: integer
            config: {meta: {column: event_new}}
"""
    )
    put(5, {"a": "1", "must": "x", "new": 4.5}, {"a": 2.5, "must": "y", "new": 5})
    retyped = replace(kind, fields=(*kind.fields, EventField("new", "number")))
    found = arrived(lake, "t", 1, HOUR)
    assert [*strangers(retyped, found)] == [
        "a is integer in the contract, and arrives otherwise in 2 events: 1 string, 1 number"
    ]
    assert "- name: a\n" in proposal(retyped, found)
    assert "DECIDE: its type? it is 1 string, 1 number, so text takes all of them" in proposal(retyped, found)
    lake.write(str(ObjectName("t", HOUR, 0, 9)), b"no gzip")
    assert len(arrived(lake, "t", 2, HOUR).unreadable) == 1
    assert arrived(lake, "other", 2, HOUR) == Arrived()
