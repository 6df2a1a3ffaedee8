"""The dbt models as assets, and dbt's tests as their checks: a step each, an hour or a range of hours alike.

The tests run after the snapshot was published: they stop nothing, and readers need not wait for them.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from streaming_assets.assets.charges import by_model, metadata
from streaming_assets.assets.column_lineage import Lineage, read_lineage, with_lineage
from streaming_assets.assets.dbt_checks import named_for_people
from streaming_assets.assets.hourly_metadata import add_hourly_metadata
from streaming_assets.assets.keys import OWNERS, external_key
from streaming_assets.assets.tested_hours import verdicts
from streaming_assets.dagster_runtime.dbt import DbtRunner, is_scratch
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.dagster_runtime.private_dbt_names import DbtCoreCliEventMessage
from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.dagster_runtime.verdicts import report_at_once
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, hour_of, key_of, spans, steps
from streaming_assets.warehouses.warehouse import Cost, Warehouse, as_utc


class Translator(DagsterDbtTranslator):
    """Keys and groups by layer; tests are checks of the model that they test."""

    def __init__(
        self, kind: str, lineage: Lineage, settings: DagsterDbtTranslatorSettings | None = None
    ) -> None:
        super().__init__(settings)
        self._kind = kind
        self._lineage = lineage

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "model":
            return dg.AssetKey([_layer(dbt_resource_props), dbt_resource_props["name"]])
        if dbt_resource_props["resource_type"] == "source":
            return external_key(dbt_resource_props["name"])
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return _layer(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> dict[str, str]:
        return {f"dagster/kind/{kind}": "" for kind in ("dbt", self._kind)}

    def get_asset_check_spec(self, *args: Any, **kwargs: Any) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(*args, **kwargs)
        # A failed test names rows of some hours; it must not keep the others from going on. And a test runs once over
        # all that the run concerns: its one verdict names the hours that fail (tested_hours.py).
        if spec is None:
            return None
        # Models of a run's work are no assets: a test that reads one would show it as an asset that is never there.
        deps = [dep for dep in spec.additional_deps if not is_scratch(dep.asset_key.path[-1])]
        return spec._replace(blocking=False, partitions_def=None, additional_deps=deps)

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        metadata = super().get_metadata(dbt_resource_props)
        columns = self._lineage.get(dbt_resource_props["name"])
        return with_lineage(metadata, columns) if columns else metadata

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props["description"]  # without the SQL, which Dagster would append


def build_warehouse_models(
    hours: dg.PartitionsDefinition,
    dbt: DbtRunner,
    manifest: Mapping[str, Any],
    kind: str,
    hours_per_step: int,
    usd_per_tib: float,
) -> dg.AssetsDefinition:
    """All dbt models over the hours of a run.

    Args:
        hours: the partitions.
        dbt: runs the project.
        manifest: the project's, without the models that are no assets.
        kind: tag of the warehouse, such as `duckdb`.
        hours_per_step: the longest span, h, of a backfill's run, and of one dbt invocation.
        usd_per_tib: price of 2^40 bytes billed, USD, where the warehouse bills any.
    """
    translator = Translator(kind, read_lineage(), DagsterDbtTranslatorSettings(enable_asset_checks=False))

    @dbt_assets(
        manifest=manifest,
        name="warehouse_models",
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(hours_per_step),
        dagster_dbt_translator=translator,
        pool=WAREHOUSE_POOL,
    )
    def warehouse_models(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Any]:
        selected = context.selected_asset_keys
        # By node: of several steps, the last tells of all that was built.
        events: dict[str, dict[str, Any]] = {}
        begun = datetime.now(UTC)
        with warehouse.exclusive():
            if not warehouse.has_table("lake_objects"):
                raise dg.Failure(
                    "No hour was taken in yet, so there is nothing to build from: materialise external/* of these "
                    "hours first; the job `hourly` does all",
                    allow_retries=False,
                )
            keys = context.partition_key_range
            concerned = hour_of(keys.start), hour_of(keys.end) + HOUR
            for step in steps([concerned], hours_per_step):
                context.log.info(_told("dbt", step))
                events |= {_node(event): event for event in dbt.run(step)}
                warehouse.mark_processed(step)
            _add_metadata(context, warehouse, _charges(warehouse, begun), concerned)
        for node, event in events.items():
            # All models of the hours are built together, whatever part of them was asked for.
            if _is_news_of(manifest["nodes"][node], translator, selected):
                yield from DbtCoreCliEventMessage(
                    raw_event=event, event_history_metadata={}
                ).to_default_asset_events(
                    manifest=manifest,
                    dagster_dbt_translator=translator,
                    context=context,
                    target_path=dbt.target_path,
                )

    def _charges(warehouse: Warehouse, since: datetime) -> Mapping[str, Cost]:
        return by_model(warehouse.costs(since), manifest)

    def _add_metadata(
        context: dg.AssetExecutionContext, warehouse: Warehouse, costs: Mapping[str, Cost], span: Span
    ) -> None:
        selected = context.selected_asset_keys
        profiles = _profiles(warehouse, manifest, translator, span)
        add_hourly_metadata(context, {key: told for key, told in profiles.items() if key in selected})
        totals = _totals(warehouse, manifest, translator)
        length = (span[1] - span[0]) // HOUR
        for key in selected & totals.keys():
            cost = costs.get(key.path[-1])
            charged = metadata(cost, length, usd_per_tib) if cost else {}
            context.add_asset_metadata({"dagster/row_count": totals[key], **charged}, asset_key=key)

    return warehouse_models


def build_model_tests(
    models: dg.AssetsDefinition,
    dbt: DbtRunner,
    manifest: Mapping[str, Any],
    kind: str,
    hours_per_step: int,
) -> dg.AssetChecksDefinition:
    """dbt's tests over the hours of a run.

    They can be run alone, and without hours, since as checks they have no partitions: over all that were taken in.

    Args:
        models: the assets that they test.
        dbt: runs the project.
        manifest: the project's, without the models that are no assets.
        kind: tag of the warehouse, such as `duckdb`.
        hours_per_step: the longest span, h, of one dbt invocation.
    """
    manifest = named_for_people(manifest)
    tests = _test_specs(manifest, Translator(kind, {}))
    specs = {spec.key: spec for spec in tests.values()}
    nodes = {spec.key: node for node, spec in tests.items()}

    @dg.multi_asset_check(
        name="model_tests", specs=list(specs.values()), can_subset=True, pool=WAREHOUSE_POOL
    )
    def model_tests(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        keys = context.selected_asset_check_keys
        events: dict[str, dict[str, Any]] = {}
        failed_in: dict[str, list[Span]] = {}
        are_built = _builds(context.run, models.keys)
        with warehouse.exclusive():
            asked = span_of(context.run)
            concerned = [asked] if asked else spans(warehouse.hours_taken_in())
            for step in steps(concerned, hours_per_step):
                context.log.info(_told("dbt's tests", step))
                if not (are_built and _scratch_is_of(warehouse, step)):
                    dbt.run_scratch(step)
                for event in dbt.test(step):
                    node = _node(event)
                    if _has_failed(event):
                        failed_in.setdefault(node, []).append(step)
                    elif node in failed_in:
                        continue  # what an earlier step told stands
                    events[node] = event
        told = (
            {key: _result(key, events[nodes[key]]) for key in keys if nodes[key] in events}
            if concerned
            else {key: _nothing_to_test(key) for key in keys}
        )
        failing = {key: failed_in.get(nodes[key], []) for key in told}
        results = verdicts(context.instance, told, concerned, failing)
        yield from report_at_once(context.instance, specs, results)

    return model_tests


def _test_specs(manifest: Mapping[str, Any], translator: Translator) -> dict[str, dg.AssetCheckSpec]:
    """The checks by the test's node: each at the model that it tests."""
    specs = {}
    for model, node in manifest["nodes"].items():
        if node["resource_type"] != "model" or node["config"]["materialized"] == "ephemeral":
            continue
        asset = translator.get_asset_spec(manifest, model, None)
        for child in manifest["child_map"][model]:
            if child.startswith("test.") and (
                spec := translator.get_asset_check_spec(asset, manifest, child, None)
            ):
                specs[child] = spec
    return specs


def _builds(run: dg.DagsterRun, models: AbstractSet[dg.AssetKey]) -> bool:
    """Whether the run builds models before it tests them; one of checks alone does not."""
    if run.asset_selection:
        return not models.isdisjoint(run.asset_selection)
    return run.asset_check_selection is None  # a whole job has neither


def _scratch_is_of(warehouse: Warehouse, span: Span) -> bool:
    """Whether the tables that hold one run's work hold that of these hours, and not a later run's."""
    held = warehouse.rows("select window_start, window_end from int_window")
    return [(as_utc(start), as_utc(end)) for start, end in held] == [span]


def _told(what: str, span: Span) -> str:
    return f"{what}: hours {span[0]:%Y-%m-%d %H:%M} to {span[1]:%Y-%m-%d %H:%M}"


def _result(key: dg.AssetCheckKey, event: Mapping[str, Any]) -> dg.AssetCheckResult:
    node = event["data"]["node_info"]
    status = node["node_status"]
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=status == "pass",
        severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
        metadata={
            "unique_id": node["unique_id"],
            "status": status,
            "dagster_dbt/failed_row_count": int(event["data"].get("num_failures") or 0),
        },
    )


def _nothing_to_test(check: dg.AssetCheckKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing to look at: no hour was taken in yet, so materialise some first.",
    )


def _layer(props: Mapping[str, Any]) -> str:
    return props["fqn"][1]


def _node(event: Mapping[str, Any]) -> str:
    return event["data"]["node_info"]["unique_id"]


def _has_failed(event: Mapping[str, Any]) -> bool:
    return event["data"]["node_info"]["node_status"] not in ("pass", "success")


def _is_news_of(node: Mapping[str, Any], translator: Translator, selected: AbstractSet[dg.AssetKey]) -> bool:
    """Whether a model's result is news of a selected asset."""
    return node["config"]["materialized"] != "ephemeral" and translator.get_asset_key(node) in selected


def _totals(
    warehouse: Warehouse, manifest: Mapping[str, Any], translator: Translator
) -> dict[dg.AssetKey, int]:
    """Rows of each table; a view would have to be read for it."""
    tables = {
        node["name"]: translator.get_asset_key(node)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    }
    counts = " union all ".join(f"select '{table}', count(*) from {table}" for table in tables)
    return {tables[table]: rows for table, rows in warehouse.rows(counts)}


def _profiles(
    warehouse: Warehouse, manifest: Mapping[str, Any], translator: Translator, span: Span
) -> dict[dg.AssetKey, dict[str, dict[str, Any]]]:
    """Rows and event times of each hour, for the models that keep both."""
    profiles = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] != "model" or not {"bucket_ingestion_datetime", "event_datetime"} <= set(
            node["columns"]
        ):
            continue
        profiles[translator.get_asset_key(node)] = {
            key_of(hour): {
                "dagster/partition_row_count": rows,
                "first_event": dg.MetadataValue.timestamp(first),
                "last_event": dg.MetadataValue.timestamp(last),
            }
            for hour, rows, first, last in warehouse.hourly_profile(node["name"], span)
        }
    return profiles
