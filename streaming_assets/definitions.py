"""The graph, assembled; no logic."""

import warnings
from functools import cache

import dagster as dg

from streaming_assets.assets.column_lineage import personal_columns, read_lineage
from streaming_assets.assets.external_tables import build_event_tables, build_reference_tables, inventory_spec
from streaming_assets.assets.lake import lake_specs
from streaming_assets.assets.reference import build_reference_files
from streaming_assets.assets.serving import build_snapshot, dashboard_specs
from streaming_assets.assets.source import source_specs
from streaming_assets.assets.warehouse import build_model_tests, build_warehouse_models
from streaming_assets.automation.jobs import build_jobs
from streaming_assets.automation.retention import build_retention_sensor
from streaming_assets.automation.schedules import (
    build_expiry_schedule,
    build_reconcile_schedule,
    build_reference_schedule,
    build_seal_schedule,
)
from streaming_assets.automation.sensors import build_failed_run_sensor, build_object_sensor
from streaming_assets.checks.drift import build_schema_drift
from streaming_assets.checks.freshness import build_freshness_checks, build_freshness_sensor
from streaming_assets.checks.hourly import FACT, build_hourly_checks
from streaming_assets.checks.lake import build_lake_checks
from streaming_assets.checks.sink import build_sink_check, build_sink_sensor
from streaming_assets.checks.snapshot import build_snapshot_check
from streaming_assets.dagster_runtime.dbt import without_scratch
from streaming_assets.dagster_runtime.json_console import json_console
from streaming_assets.dagster_runtime.runtime import runtime_of
from streaming_assets.dagster_runtime.warm_runs import fork_runs_of_code_servers
from streaming_assets.lake.expiry import is_asked_for
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.notifications import notifications_of
from streaming_assets.monitoring.sensor import build_alert_sensor
from streaming_assets.partitions import hourly_partitions
from streaming_assets.published.tables import masked, published_tables
from streaming_assets.settings import Settings, get_settings
from streaming_assets.warehouses.factory import warehouse_of

# Backfill policies: in beta for years, and what makes a range of hours a few runs.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
# Checks by hour: a preview, without which a bad hour's verdict is lost with the next hour's.
warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)


def build_defs(settings: Settings) -> dg.Definitions:
    """The whole graph for these settings, which nothing else of it reads."""
    hours = hourly_partitions(settings.first_hour)
    warehouse = warehouse_of(settings)
    kind = warehouse.kind
    runtime = runtime_of(settings, warehouse)
    dbt = runtime.dbt
    manifest, hours_per_step = without_scratch(dbt.manifest), settings.warehouse.hours_per_step
    models = build_warehouse_models(hours, dbt, manifest, kind, hours_per_step, settings.bigquery.usd_per_tib)
    named = published_tables(dbt.manifest)
    if settings.warehouse.mask_personal:
        named = masked(named, personal_columns(read_lineage()))
    tables = [table for table in named if table.is_mart or not warehouse.has_readers]
    names = {name for table in tables for name in (table.name, table.mart)}
    read = sorted(key for key in models.keys if key.path[-1] in names)
    freshness = build_freshness_checks([FACT])
    sink_check = build_sink_check(settings)
    lake_checks = build_lake_checks(settings)
    snapshot_check = build_snapshot_check(tables, settings)
    jobs = build_jobs(hours, [*freshness, sink_check, lake_checks, snapshot_check])
    return dg.Definitions(
        assets=[
            *source_specs(),
            *lake_specs(hours),
            *build_reference_files(settings),
            inventory_spec(hours, kind),
            build_event_tables(hours, kind, hours_per_step),
            build_reference_tables(kind, tables),
            models,
            build_schema_drift(hours, hours_per_step),
            build_snapshot(hours, read, tables, named, settings),
            *dashboard_specs(settings),
        ],
        asset_checks=[
            build_model_tests(models, dbt, manifest, kind, hours_per_step),
            build_hourly_checks(hours, settings, runtime),
            sink_check,
            lake_checks,
            snapshot_check,
            *freshness,
        ],
        jobs=jobs,
        sensors=[
            build_object_sensor(settings),
            build_failed_run_sensor(jobs[0]),
            build_freshness_sensor(freshness),
            build_sink_sensor(settings),
            build_retention_sensor(settings),
            build_alert_sensor(settings),
        ],
        schedules=[
            build_reconcile_schedule(settings),
            build_reference_schedule(),
            *([build_expiry_schedule(settings)] if is_asked_for() else []),
            *([build_seal_schedule(settings)] if settings.lake.seal_after_days else []),
        ],
        resources={
            "lake": lake_of(settings),
            "warehouse": warehouse,
            "notifications": notifications_of(settings),
        },
        executor=runtime.executor,
        loggers={"console": json_console} if settings.monitoring.log_format == "json" else None,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The graph of the environment's settings: what Dagster's tools load."""
    if get_settings().dagster.runtime == "own":
        fork_runs_of_code_servers("streaming_assets.warm")
    return _of_environment()


@cache  # a run loads its job's parts one by one, each from here
def _of_environment() -> dg.Definitions:
    return build_defs(get_settings())
