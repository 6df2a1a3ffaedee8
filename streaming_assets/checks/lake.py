"""The checks of the whole lake against the tables: asked for by hand, and reported by each reconciliation."""

from collections.abc import Iterator

import dagster as dg

from streaming_assets.assets.keys import prefix_key
from streaming_assets.checks.comparison import Comparison, compare
from streaming_assets.checks.hourly import FACT, QUARANTINE_TABLE, SHOWN
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.dagster_runtime.runs import runs_in_flight
from streaming_assets.lake.store import Lake
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import Warehouse

HELD, KEPT, STRAYS, USABLE = (
    "tables_hold_the_lake",
    "lake_still_holds_its_rows",
    "no_strays_in_the_lake",
    "no_hour_wholly_in_quarantine",
)
_SPECS = (
    dg.AssetCheckSpec(
        HELD, asset=FACT, description="Each hour's objects are in the tables as they are in the lake."
    ),
    dg.AssetCheckSpec(
        KEPT, asset=FACT, description="No object is gone from the lake whose rows the tables hold."
    ),
    dg.AssetCheckSpec(
        STRAYS,
        asset=prefix_key("listen_events"),
        description="All files below the topics' folders are event objects, of hours that are partitions.",
    ),
    dg.AssetCheckSpec(
        USABLE, asset=QUARANTINE_TABLE, description="Of each topic's hour at least one row could be used."
    ),
)


def build_lake_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """The whole lake held to the tables; any of the checks can be asked for alone."""

    @dg.multi_asset_check(name="lake_checks", specs=_SPECS, can_subset=True, pool=WAREHOUSE_POOL)
    def lake_checks(
        context: dg.AssetCheckExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.AssetCheckResult]:
        selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
        for result in results(compare(lake, warehouse, settings, runs_in_flight(context.instance))):
            if (result.asset_key, result.check_name) in selected:
                yield result

    return lake_checks


def report(instance: dg.DagsterInstance, found: Comparison) -> None:
    """Have the checks show what a reconciliation found."""
    for result in results(found):
        assert result.asset_key is not None
        assert result.check_name is not None
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=result.asset_key,
                check_name=result.check_name,
                passed=result.passed,
                severity=result.severity,
                metadata=result.metadata,
            )
        )


def results(found: Comparison) -> list[dg.AssetCheckResult]:
    """What a comparison means for each check."""
    unheld = [(f"{hour:%Y-%m-%dT%H:%MZ}", "; ".join(why)) for hour, why in found.to_run.items()]
    lost = [(f"{hour:%Y-%m-%dT%H:%MZ}", topic, said) for (topic, hour), said in found.lost.items()]
    spoilt = [
        (f"{hour:%Y-%m-%dT%H:%MZ}", topic, str(rows)) for (topic, hour), rows in found.quarantined.items()
    ]
    strays = [("no event object", name) for name in found.strays]
    strays += [("no partition", f"{hour:%Y-%m-%dT%H:%MZ}") for hour in found.outside]
    strays += [("folder of no topic", name) for name in found.unknown_folders]
    return [
        _result(
            HELD,
            FACT,
            ("hour", "why"),
            unheld,
            {"hours_waiting_for_their_runs": len(found.waiting), "hours_left_to_retention": found.expired},
        ),
        _result(KEPT, FACT, ("hour", "topic", "what"), lost),
        _result(
            STRAYS, prefix_key("listen_events"), ("what", "name"), strays, severity=dg.AssetCheckSeverity.WARN
        ),
        _result(USABLE, QUARANTINE_TABLE, ("hour", "topic", "rows"), spoilt),
    ]


def _result(
    name: str,
    asset: dg.AssetKey,
    columns: tuple[str, ...],
    rows: list[tuple[str, ...]],
    more: dict[str, int] | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows[:SHOWN]]
    schema = dg.TableSchema([dg.TableColumn(column, "string") for column in columns])
    table = {"first_findings": dg.MetadataValue.table(records, schema)} if rows else {}
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=name,
        passed=not rows,
        severity=severity,
        metadata={"findings": len(rows), **(more or {}), **table},
    )
