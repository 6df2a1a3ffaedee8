"""Whose cost a query is, and what of it an hour bears."""

import json
from pathlib import Path
from typing import Any

import pytest

from streaming_assets.assets.charges import TIB, by_model, metadata
from streaming_assets.dagster_runtime.dbt import without_scratch
from streaming_assets.warehouses.warehouse import Cost


def node(
    kind: str, name: str, *reads: str, materialized: str = "incremental", **other: Any
) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "name": name,
        "config": {"materialized": materialized},
        "depends_on": {"nodes": list(reads)},
    } | other


MANIFEST = {
    "nodes": {
        "base": node("model", "base_x", materialized="ephemeral"),
        "int": node("model", "int_x", "base", materialized="ephemeral"),
        "one": node("model", "one", "base"),
        "two": node("model", "two", "base", "int"),
        "tested": node(
            "test", "one_has_no_null_in_any_of_its_columns_which_are_many_indeed_as_you_see", "one"
        ),
    }
}


def test_scratch_is_shared_by_its_readers_and_a_test_is_its_models() -> None:
    label = MANIFEST["nodes"]["tested"]["name"][:63]
    costs = {"base_x": Cost(300, 30), "one": Cost(7, 1), label: Cost(2, 1), "another": Cost(9, 9)}
    # base_x: a third each to int_x (so to two), one and two.
    assert by_model(costs, MANIFEST) == {"one": Cost(109, 12), "two": Cost(200, 20)}


def test_nothing_of_the_project_costs_without_a_bearer(parsed_project: Path) -> None:
    manifest = without_scratch(json.loads((parsed_project / "manifest.json").read_bytes()))
    kept = [n for n in manifest["nodes"].values() if n["resource_type"] in ("model", "test")]
    names = {
        n["name"].lower()[:63] for n in manifest["nodes"].values() if n["resource_type"] in ("model", "test")
    }
    assert len(names) == len(kept), "BigQuery's labels are cut, and must still tell nodes apart"
    charged = by_model({name: Cost(1000, 10) for name in names}, manifest)
    assert sum(cost.bytes_billed for cost in charged.values()) == pytest.approx(1000 * len(kept))
    assert not any(name.startswith(("base_", "int_")) for name in charged)


def test_an_hour_bears_its_part() -> None:
    assert metadata(Cost(TIB, 7_200_000), 24, 6.0) == {
        "bytes_billed": round(TIB / 24),
        "slot_seconds": 300.0,
        "cost_usd": 0.25,
    }
