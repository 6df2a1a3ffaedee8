"""What the graph says of itself: every asset, job, sensor and schedule, against the list in graph.json.

After a change that is meant, write the list anew: `python -m streaming_assets_tests.assets.listing`.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from streaming_assets.assets.column_lineage import LINEAGE
from streaming_assets.assets.source import event_columns
from streaming_assets.dashboards.pages import PAGES
from streaming_assets.events import LAKE_TYPES
from streaming_assets.settings import Settings
from streaming_assets_tests.assets.column_lineage import as_text, column_lineage
from streaming_assets_tests.assets.listing import LISTING, listing

pytestmark = pytest.mark.xdist_group("assets_graph")  # the definitions are built once

UNPARTITIONED = {
    "reference/songs",
    "reference/locations",
    "external/songs_ext",
    "external/locations_ext",
}
SEEN_ALONE = {"source", "kafka"}  # they are no folders of hours
DASHBOARDS = {f"serving/{page.name}_dashboard" for page in PAGES}
FILES_AND_PAGES = {"lake", "source", "serving", "reference"}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> dg.Definitions:
    from streaming_assets.definitions import build_defs

    home = tmp_path_factory.mktemp("home")
    shutil.copytree(parsed_project, home / "dbt" / "duckdb")
    return build_defs(Settings(home=home))


@pytest.fixture(scope="module")
def nodes(defs: dg.Definitions) -> Mapping[str, Any]:
    return {node.key.to_user_string(): node for node in defs.resolve_asset_graph().asset_nodes}


def test_the_graph_is_the_one_that_is_listed(defs: dg.Definitions) -> None:
    assert listing(defs) == json.loads(LISTING.read_text())


def test_each_asset_has_a_description_an_owner_a_group_and_kinds(nodes: Mapping[str, Any]) -> None:
    lacking = {
        key: what
        for key, node in nodes.items()
        for what, value in {
            "description": node.description,
            "owner": node.owners,
            "group": node.group_name != "default" and node.group_name,
            "kind": node.kinds,
        }.items()
        if not value
    }
    assert lacking == {}


def test_all_that_arrives_by_the_hour_is_partitioned_up_to_the_current_one(nodes: Mapping[str, Any]) -> None:
    unpartitioned = {key for key, node in nodes.items() if node.partitions_def is None}
    assert {key for key in unpartitioned if key.split("/")[0] not in SEEN_ALONE} == UNPARTITIONED | DASHBOARDS
    definitions = {node.partitions_def for node in nodes.values() if node.partitions_def}
    (hours,) = definitions
    assert isinstance(hours, dg.TimeWindowPartitionsDefinition)
    assert (hours.cron_schedule, hours.timezone, hours.end_offset) == ("0 * * * *", "UTC", 1)


def test_a_range_of_any_step_is_cut_in_runs_of_bounded_length(nodes: Mapping[str, Any]) -> None:
    executable = [node for node in nodes.values() if node.is_executable and node.partitions_def]
    assert {node.backfill_policy for node in executable} == {dg.BackfillPolicy.multi_run(168)}
    assert len(executable) > 20


def test_each_table_has_its_columns_with_types_and_descriptions(nodes: Mapping[str, Any]) -> None:
    tables = {key: node for key, node in nodes.items() if key.split("/")[0] not in FILES_AND_PAGES}
    for key, node in tables.items():
        columns = node.metadata["dagster/column_schema"].columns
        assert columns, key
        assert all(column.type for column in columns), key
        assert [c.name for c in columns if not c.description] == [], key


@pytest.mark.parametrize("event_type", LAKE_TYPES, ids=lambda event_type: event_type.topic)
def test_an_events_columns_are_its_fields(event_type) -> None:
    columns = event_columns(event_type).columns
    assert [(c.name, c.type, c.constraints.nullable) for c in columns] == [
        (field.name, field.kind, not field.required) for field in event_type.fields
    ]


def test_no_asset_is_scratch_and_lineage_leads_through_it(nodes: Mapping[str, Any]) -> None:
    assert not [key for key in nodes if key.split("/")[-1].startswith(("base_", "int_"))]
    parents = {key: {parent.to_user_string() for parent in node.parent_keys} for key, node in nodes.items()}
    inventory = "external/lake_objects"
    assert parents["staging/stg_listen_events"] == {"external/listen_events_ext", inventory}
    # Songs are those that any copy of a listen names, so they come from the lines themselves.
    assert parents["core/dim_songs"] == {"external/songs_ext", "external/listen_events_ext", inventory}
    published = {key for key in nodes if key.startswith(("marts/", "core/"))}
    # Which says of dim_users, whose rows are published, what time it is.
    assert parents["serving/dashboard_snapshot"] == published - {"core/dim_current_users"}
    orphans = {key for key, found in parents.items() if not found}
    assert orphans == {"source/simulator", "reference/songs", "reference/locations"}
    assert set().union(*parents.values()) <= set(nodes)


def test_columns_lead_from_a_fact_through_staging_to_a_topics_fields(nodes: Mapping[str, Any]) -> None:
    def made_of(key: str, column: str) -> set[str]:
        deps = nodes[key].metadata["dagster/column_lineage"].deps_by_column[column]
        return {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}

    staged, fields = "staging/stg_listen_events", "external/listen_events_ext"
    assert made_of("core/fact_listen_events", "pk_song") == {
        f"{staged}.{c}" for c in ("artist", "song", "duration")
    }
    assert made_of(staged, "session_id") == {f"{fields}.sessionId"}
    assert "sessionId" in [c.name for c in nodes[fields].metadata["dagster/column_schema"].columns]
    columns = nodes[staged].metadata["dagster/column_schema"].columns
    (session,) = [column for column in columns if column.name == "session_id"]
    assert session.description.endswith(f"(from {fields}.sessionId)")


def test_each_columns_lineage_ends_at_a_column_of_an_asset(nodes: Mapping[str, Any]) -> None:
    for key, node in nodes.items():
        for deps in getattr(node.metadata.get("dagster/column_lineage"), "deps_by_column", {}).values():
            for dep in deps:
                schema = nodes[dep.asset_key.to_user_string()].metadata["dagster/column_schema"]
                assert dep.column_name in [column.name for column in schema.columns], (key, dep)


def test_the_lineage_of_columns_is_that_of_the_models_as_they_are(parsed_project: Path) -> None:
    assert as_text(column_lineage(parsed_project)) == LINEAGE.read_text(), (
        "models have changed: python -m streaming_assets_tests.assets.column_lineage"
    )


def test_checks_block_nothing(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    keys = graph.asset_check_keys
    assert len(keys) > 40
    assert not [key for key in keys if graph.get_check_spec(key).blocking]


def test_each_check_has_a_name_that_fits_a_list_and_says_what_it_holds(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert [spec.name for spec in specs if len(spec.name) > 45] == []
    assert [spec.key.to_user_string() for spec in specs if not spec.description] == []


def test_the_hourly_job_holds_all_hours_and_nothing_else(defs: dg.Definitions) -> None:
    hourly = {
        key.to_user_string() for key in defs.resolve_job_def("hourly").asset_layer.executable_asset_keys
    }
    reference = defs.resolve_job_def("reference").asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in reference} == UNPARTITIONED
    assert not hourly & UNPARTITIONED
    assert {key.split("/")[0] for key in hourly} == {"external", "staging", "core", "marts", "serving"}


def test_no_check_depends_on_what_is_no_asset(defs: dg.Definitions, nodes: Mapping[str, Any]) -> None:
    specs = [spec for definition in defs.resolve_asset_graph().assets_defs for spec in definition.check_specs]
    needed = {dep.asset_key.to_user_string() for spec in specs for dep in spec.additional_deps}
    assert needed
    assert needed <= set(nodes)
