"""The dbt models as assets: one definition, one step, an hour or a range of hours alike."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets

from streaming_assets.assets.charges import by_model, metadata
from streaming_assets.assets.column_lineage import Lineage, read_lineage, with_lineage
from streaming_assets.assets.dbt_checks import named_for_people
from streaming_assets.assets.keys import OWNERS, external_key
from streaming_assets.assets.tested_hours import verdicts
from streaming_assets.dagster_runtime.dbt import is_scratch
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.dagster_runtime.private_names import DbtCoreCliEventMessage
from streaming_assets.dagster_runtime.runtime import Runtime
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span, hour_of, key_of, spans, steps
from streaming_assets.warehouses.warehouse import Cost, Warehouse


class Translator(DagsterDbtTranslator):
    """Keys and groups by layer; tests are checks of the model that they test."""

    def __init__(self, kind: str, lineage: Lineage) -> None:
        super().__init__()
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
    runtime: Runtime,
    manifest: Mapping[str, Any],
    kind: str,
    hours_per_step: int,
    usd_per_tib: float,
) -> dg.AssetsDefinition:
    """All dbt models over the hours of a run, and their tests.

    Tests can be run alone, and without hours, since as checks they have no partitions: over all that were taken in.

    Args:
        hours: the partitions.
        runtime: runs the project, and tells of hours.
        manifest: the project's, without the models that are no assets.
        kind: tag of the warehouse, such as `duckdb`.
        hours_per_step: the longest span, h, of one dbt invocation; a longer range takes several.
        usd_per_tib: price of 2^40 bytes billed, USD, where the warehouse bills any.
    """
    dbt = runtime.dbt
    translator = Translator(kind, read_lineage())
    manifest = named_for_people(manifest)

    @dbt_assets(
        manifest=manifest,
        name="warehouse_models",
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=translator,
        pool=WAREHOUSE_POOL,
    )
    def warehouse_models(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Any]:
        selected = context.selected_asset_keys
        events: dict[
            str, dict[str, Any]
        ] = {}  # by node: of several steps, the last tells of all that was built
        failed_tests: dict[str, dict[str, Any]] = {}
        failed_in: dict[str, list[Span]] = {}
        begun = datetime.now(UTC)
        with warehouse.exclusive():
            if selected and not warehouse.has_table("lake_objects"):
                raise dg.Failure(
                    "No hour was taken in yet, so there is nothing to build from: materialise external/* of these "
                    "hours first; the job `hourly` does all",
                    allow_retries=False,
                )
            concerned = _asked(context) or spans(warehouse.hours_taken_in())
            for step in (step for span in concerned for step in steps(span, hours_per_step)):
                context.log.info(f"dbt: hours {step[0]:%Y-%m-%d %H:%M} to {step[1]:%Y-%m-%d %H:%M}")
                if selected:
                    events |= {_node(event): event for event in dbt.run(step)}
                else:
                    dbt.run_scratch(step)
                tested = {_node(event): event for event in dbt.test(step)}
                for node, event in tested.items():
                    if _has_failed(event):
                        failed_tests[node] = event
                        failed_in.setdefault(node, []).append(step)
                events |= tested
                if selected:
                    warehouse.mark_processed(step)
            if selected:
                _add_metadata(context, warehouse, _charges(warehouse, begun), concerned[0])
        if not concerned:
            yield from map(_nothing_to_test, context.selected_asset_check_keys)
        results: dict[dg.AssetCheckKey, dg.AssetCheckResult] = {}
        failing: dict[dg.AssetCheckKey, list[Span]] = {}
        for node, event in (events | failed_tests).items():
            # All models of the hours are built together, whatever part of them was asked for.
            if not _reports(manifest["nodes"][node], translator, selected):
                continue
            message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
            for told in message.to_default_asset_events(
                manifest=manifest,
                dagster_dbt_translator=translator,
                context=context,
                target_path=dbt.target_path,
            ):
                if isinstance(told, dg.AssetCheckResult):
                    key = dg.AssetCheckKey(cast(dg.AssetKey, told.asset_key), cast(str, told.check_name))
                    results[key], failing[key] = told, failed_in.get(node, [])
                else:
                    yield told
        yield from verdicts(context.instance, results, concerned, failing)

    def _charges(warehouse: Warehouse, since: datetime) -> Mapping[str, Cost]:
        return by_model(warehouse.costs(since), manifest)

    def _add_metadata(
        context: dg.AssetExecutionContext, warehouse: Warehouse, costs: Mapping[str, Cost], span: Span
    ) -> None:
        selected = context.selected_asset_keys
        profiles = _profiles(warehouse, manifest, translator, span)
        runtime.add_partition_metadata(
            context, {key: told for key, told in profiles.items() if key in selected}
        )
        totals = _totals(warehouse, manifest, translator)
        length = (span[1] - span[0]) // HOUR
        for key in selected & totals.keys():
            cost = costs.get(key.path[-1])
            charged = metadata(cost, length, usd_per_tib) if cost else {}
            context.add_asset_metadata({"dagster/row_count": totals[key], **charged}, asset_key=key)

    return warehouse_models


def _asked(context: dg.AssetExecutionContext) -> list[Span]:
    """The hours of the run; none where checks alone are run without a partition, since these have none."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return []
    keys = context.partition_key_range
    return [(hour_of(keys.start), hour_of(keys.end) + HOUR)]


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


def _reports(node: Mapping[str, Any], translator: Translator, selected: AbstractSet[dg.AssetKey]) -> bool:
    """Whether a node's result is news of a selected asset: of a model that is one, or a test."""
    if node["resource_type"] != "model":
        return True
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
