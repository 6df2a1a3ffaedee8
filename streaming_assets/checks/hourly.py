"""The checks of an hour's run, or of a range hour by hour: one step that asks the warehouse and reports."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from streaming_assets.automation.jobs import span_of
from streaming_assets.checks.queries import LEVELS, OFFSET_GAPS, QUARANTINE, UNACCOUNTED_ROWS
from streaming_assets.events import WAREHOUSE_TYPES
from streaming_assets.lake.names import HOUR
from streaming_assets.partitions import Span
from streaming_assets.resources.instance import WAREHOUSE_POOL
from streaming_assets.resources.tables import literal
from streaming_assets.resources.warehouse import Warehouse
from streaming_assets.settings import Settings

SHOWN = 50  # findings that a check lists; it counts them all
OFFSET_LOOKBACK = timedelta(days=7)  # how far back the offset before an hour is looked for
LEVEL_SHARE = (
    0.05  # the source changes a level unannounced now and then: 1.5 to 3 % of listens in real samples
)

FACT = dg.AssetKey(["core", "fact_listen_events"])
QUARANTINE_TABLE = dg.AssetKey(["staging", "stg_quarantine"])
STAGING = {
    "listen_events": "stg_listen_events",
    "page_view_events": "stg_page_view_events",
    "status_change_events": "stg_status_change_events",
    "user_info": "stg_users",
}

READ = (
    "lake_objects",
    *STAGING.values(),
    "stg_quarantine",
    "stg_filtered_rows",
    "stg_offset_ranges",
    "fact_listen_events",
    "dim_users",
)


def build_hourly_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """Reconciliation and offsets of each topic, the share in quarantine, and how levels agree."""
    specs = [
        dg.AssetCheckSpec(
            name, asset=dg.AssetKey(["staging", STAGING[event_type.topic]]), description=description
        )
        for event_type in WAREHOUSE_TYPES
        for name, description in (
            ("rows_are_accounted_for", "Rows in the objects = staged + duplicates + quarantined + filtered."),
            ("offsets_are_contiguous", "No Kafka offset is missing but those of dead letters."),
        )
    ]
    specs += [
        dg.AssetCheckSpec(
            "share_in_quarantine",
            asset=QUARANTINE_TABLE,
            description=f"At most {settings.quarantine_warn_share:.1%} of a topic's rows in an hour are in quarantine.",
        ),
        dg.AssetCheckSpec(
            "level_agrees_with_history",
            asset=FACT,
            description=f"At most {LEVEL_SHARE:.0%} of listens carry a level other than the announced one.",
        ),
    ]

    @dg.multi_asset_check(name="hourly_checks", specs=specs, pool=WAREHOUSE_POOL)
    def hourly_checks(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        span = span_of(context.run)
        if span is None:
            raise dg.Failure("These checks look at hours: run them with a partition or a range of them")
        with warehouse.exclusive():
            if missing := [table for table in READ if not warehouse.has_table(table)]:
                yield from (_nothing_to_check(spec, missing) for spec in specs)
                return
            for event_type in WAREHOUSE_TYPES:
                key = dg.AssetKey(["staging", STAGING[event_type.topic]])
                yield _rows(warehouse, key, event_type.topic, span)
                yield _offsets(warehouse, key, event_type.topic, span)
            yield _quarantine(warehouse, span, settings.quarantine_warn_share)
            yield _levels(warehouse, span)

    return hourly_checks


def _nothing_to_check(spec: dg.AssetCheckSpec, missing: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing to look at: materialise these hours first. The warehouse lacks the tables "
        + ", ".join(missing),
    )


def _rows(warehouse: Warehouse, key: dg.AssetKey, topic: str, span: Span) -> dg.AssetCheckResult:
    hours = warehouse.rows(UNACCOUNTED_ROWS.format(topic=topic, staging=STAGING[topic], **_bounds(span)))
    totals = [int(sum(hour[column] for hour in hours)) for column in range(1, 6)]
    wrong = [hour for hour in hours if hour[1] != sum(hour[2:])]
    names = ("in_objects", "staged", "duplicates", "quarantined", "filtered")
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="rows_are_accounted_for",
        passed=not wrong,
        metadata={**dict(zip(names, totals, strict=True)), **_findings(("hour", *names), wrong)},
    )


def _offsets(warehouse: Warehouse, key: dg.AssetKey, topic: str, span: Span) -> dg.AssetCheckResult:
    # The hour before counts only if it was taken in as well; else its offsets are not missing, just not there yet.
    start = span[0]
    lookback = start - OFFSET_LOOKBACK if warehouse.was_taken_in(start - HOUR) else start
    around = {"lookback": literal(lookback), "next_end": literal(span[1] + HOUR)}
    gaps = warehouse.rows(OFFSET_GAPS.format(topic=topic, **around, **_bounds(span)))
    return dg.AssetCheckResult(
        asset_key=key,
        check_name="offsets_are_contiguous",
        passed=not gaps,
        metadata={
            "missing_offsets": int(sum(last - first + 1 - dead for *_, first, last, dead in gaps)),
            **_findings(("hour", "life", "partition", "first", "last", "dead_letters"), gaps),
        },
    )


def _quarantine(warehouse: Warehouse, span: Span, limit: float) -> dg.AssetCheckResult:
    found = warehouse.rows(QUARANTINE.format(**_bounds(span)))
    shares: dict[tuple[datetime, str], float] = {}
    for hour, topic, _, rows, total in found:
        shares[hour, topic] = shares.get((hour, topic), 0.0) + rows / max(int(total), 1)
    return dg.AssetCheckResult(
        asset_key=QUARANTINE_TABLE,
        check_name="share_in_quarantine",
        passed=all(share <= limit for share in shares.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows": int(sum(row[3] for row in found)),
            "highest_share": max(shares.values(), default=0.0),
            **_findings(("hour", "topic", "reason", "rows", "of"), found),
        },
    )


def _levels(warehouse: Warehouse, span: Span) -> dg.AssetCheckResult:
    [(listens, disagreeing)] = warehouse.rows(LEVELS.format(**_bounds(span)))
    return dg.AssetCheckResult(
        asset_key=FACT,
        check_name="level_agrees_with_history",
        passed=disagreeing <= LEVEL_SHARE * listens,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"listens": listens, "disagreeing": disagreeing},
    )


def _bounds(span: Span) -> dict[str, str]:
    return {"start": literal(span[0]), "end": literal(span[1])}


def _findings(columns: tuple[str, ...], rows: list[tuple]) -> dict[str, Any]:
    """The first findings as a table, and how many there are."""
    if not rows:
        return {}
    records = [
        dg.TableRecord({name: str(value) for name, value in zip(columns, row, strict=True)})
        for row in rows[:SHOWN]
    ]
    schema = dg.TableSchema([dg.TableColumn(name, "string") for name in columns])
    return {"findings": len(rows), "first_findings": dg.MetadataValue.table(records, schema)}
