"""The checks of hours: one step asks the warehouse about all hours of a run, and each hour gets a verdict."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any

import dagster as dg

from streaming_assets.assets.keys import external_key
from streaming_assets.checks.drift import QUARANTINE_TABLE, SCHEMA_DRIFT, departures
from streaming_assets.checks.queries import (
    CONTRADICTING_USERS,
    DIFFERING_COPIES,
    DIFFERING_HOURS,
    LEVELS,
    OFFSET_GAPS,
    QUARANTINE,
    UNACCOUNTED_ROWS,
    UNUSUAL_FIELDS,
    compared_columns,
    differences,
    limits_of_fields,
)
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.dagster_runtime.runs import span_of
from streaming_assets.dagster_runtime.runtime import Runtime
from streaming_assets.dagster_runtime.verdicts import Verdict, failing_near
from streaming_assets.events import BY_TOPIC, LAKE_TYPES
from streaming_assets.lake.expiry import expired_fields
from streaming_assets.lake.factory import lake_of
from streaming_assets.lake.fields import at_most_by_chance
from streaming_assets.lake.forgetting import forgotten_offsets
from streaming_assets.lake.inventory import list_hours
from streaming_assets.lake.names import HOUR, ObjectName, hours_between
from streaming_assets.lake.store import Lake
from streaming_assets.partitions import Span, spans
from streaming_assets.settings import Settings
from streaming_assets.warehouses.tables import STAGING, literal
from streaming_assets.warehouses.warehouse import Warehouse, as_utc

SHOWN = 50  # findings that a check lists; it counts them all
OFFSET_LOOKBACK = timedelta(days=7)  # how far back the offset before an hour is looked for
COPIES_APART = timedelta(days=1)  # how far from an hour its events' copies are looked for
# The source changes a level unannounced now and then: for 1.5 to 3 % of listens in real samples.
LEVEL_SHARE = 0.03
Verdicts = Mapping[datetime, Verdict]
PASSED = Verdict(True)
LOOKING_AROUND = {"offsets_are_contiguous", "records_agree"}  # whose verdict of an hour depends on others
Check = Callable[[Warehouse, Span], Verdicts]  # hours that it does not name pass

ROWS = "rows_are_accounted_for"
COUNTED = ("in_objects", "staged", "duplicates", "quarantined", "filtered")  # an hour's rows, in its metadata
FACT = dg.AssetKey(["core", "fact_listen_events"])
PROFILE = dg.AssetKey(["staging", "stg_field_profile"])
READ = (
    "lake_objects",
    *STAGING.values(),
    "stg_quarantine",
    "stg_filtered_rows",
    "stg_offset_ranges",
    "stg_field_profile",
    "fact_listen_events",
    "dim_users",
)


def build_hourly_checks(
    hours: dg.PartitionsDefinition, settings: Settings, runtime: Runtime
) -> dg.AssetChecksDefinition:
    """Reconciliation and offsets of each topic, the share in quarantine, and how levels agree.

    Any of them can be run alone. A run without hours looks at all that were taken in.
    """
    checks = [*_checks(hours, settings)]

    @dg.multi_asset_check(
        name="hourly_checks", specs=[spec for spec, _ in checks], can_subset=True, pool=WAREHOUSE_POOL
    )
    def hourly_checks(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Any]:
        keys = context.selected_asset_check_keys
        selected = [(spec, check) for spec, check in checks if spec.key in keys]
        with warehouse.exclusive():
            asked = span_of(context.run)
            concerned = [*hours_between(*asked)] if asked else warehouse.hours_taken_in()
            if missing := [table for table in READ if not warehouse.has_table(table)]:
                for spec, _ in selected:
                    yield from runtime.report(
                        context, spec, dict.fromkeys(concerned, _nothing_to_check(missing))
                    )
                return
            for spec, check in selected:
                found: dict[datetime, Verdict] = {}
                for span in spans(concerned):
                    found |= check(warehouse, span)
                told = {hour: found.get(hour, PASSED) for hour in concerned}
                if spec.name in LOOKING_AROUND:
                    for hour in failing_near(context.instance, spec.key, concerned, OFFSET_LOOKBACK):
                        verdict = check(warehouse, (hour, hour + HOUR)).get(hour, PASSED)
                        if verdict.passed:  # what it lacked lies in the hours of this run
                            told[hour] = verdict
                yield from runtime.report(context, spec, told)

    return hourly_checks


def _checks(hours: dg.PartitionsDefinition, settings: Settings) -> Iterator[tuple[dg.AssetCheckSpec, Check]]:
    for event_type in LAKE_TYPES:
        yield (
            dg.AssetCheckSpec(
                "objects_are_readable",
                asset=external_key(event_type.external_table or ""),
                description="Each object of the hour could be read. One that could not is left out alone: replace it, "
                "or remove it, and the hour is run again.",
                partitions_def=hours,
            ),
            partial(_unreadable, topic=event_type.topic),
        )
    for topic in STAGING:
        for name, check, description in (
            (
                ROWS,
                _rows,
                "Rows in the objects = staged + duplicates + quarantined + filtered.",
            ),
            (
                "offsets_are_contiguous",
                partial(_offsets, lake=lake_of(settings)),
                "No Kafka offset is missing but those of dead letters and of forgotten people. A gap between two "
                "hours is the later hour's, unless the run holds the earlier one alone. It is told once the tables "
                "hold the earlier hour's objects.",
            ),
        ):
            key = dg.AssetKey(["staging", STAGING[topic]])
            spec = dg.AssetCheckSpec(name, asset=key, description=description, partitions_def=hours)
            yield spec, partial(check, topic=topic)
    limit = settings.monitoring.quarantine_warn_share
    yield (
        dg.AssetCheckSpec(
            "share_in_quarantine",
            asset=QUARANTINE_TABLE,
            description=f"At most {limit:.1%} of a topic's rows in an hour are in quarantine and were not repaired by "
            "a replay into that hour.",
            partitions_def=hours,
        ),
        partial(_quarantine, limit=limit),
    )
    yield (
        dg.AssetCheckSpec(
            "level_agrees_with_history",
            asset=FACT,
            description=f"No more than {LEVEL_SHARE:.0%} of an hour's listeners, and what chance adds to so many, "
            "listen at a level other than the announced one.",
            partitions_def=hours,
        ),
        _levels,
    )
    yield (
        dg.AssetCheckSpec(
            "fields_are_as_usual",
            asset=PROFILE,
            description="The contracts' fields are there as often as usual, with values that they know and means "
            "within their bounds.",
            partitions_def=hours,
        ),
        _fields,
    )
    yield (
        dg.AssetCheckSpec(
            "schema_follows_contract",
            asset=SCHEMA_DRIFT,
            description="No field arrives that no contract names, no required one stopped, none has another type. "
            "Unknown fields and types are looked for in the first rows of each object.",
            partitions_def=hours,
        ),
        _drift,
    )
    yield (
        dg.AssetCheckSpec(
            "records_agree",
            asset=PROFILE,
            description="Copies of an event say the same, within an hour and a day apart, and so do a user's records.",
            partitions_def=hours,
        ),
        _records,
    )


def _nothing_to_check(missing: list[str]) -> Verdict:
    return Verdict(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing to look at: materialise these hours first. The warehouse lacks the tables "
        + ", ".join(missing),
    )


def _unreadable(warehouse: Warehouse, span: Span, topic: str) -> Verdicts:
    bad: dict[datetime, list[tuple]] = {}
    for hour, of, name, error in warehouse.unreadable_objects(span):
        if of == topic:
            bad.setdefault(hour, []).append((name, error))
    return {hour: Verdict(False, _findings(("object", "why"), found)) for hour, found in bad.items()}


def _rows(warehouse: Warehouse, span: Span, topic: str) -> Verdicts:
    found = warehouse.rows(UNACCOUNTED_ROWS.format(topic=topic, staging=STAGING[topic], **_bounds(span)))
    verdicts = {}
    for hour, *counts in found:
        told = dict(zip(COUNTED, map(int, counts), strict=True))
        wrong = [(hour, *counts)] if counts[0] != sum(counts[1:]) else []
        verdicts[as_utc(hour)] = Verdict(not wrong, {**told, **_findings(("hour", *COUNTED), wrong)})
    return verdicts


def _unexplained(lake: Lake, topic: str, gaps: list[tuple]) -> Iterator[tuple]:
    """The gaps that lines of forgotten people do not explain."""
    if not gaps:
        return
    start, end = min(as_utc(gap[-1]) for gap in gaps), max(as_utc(gap[0]) for gap in gaps)
    # A dead letter may come to the lake later than what follows its record.
    forgotten = forgotten_offsets(lake, topic, start - OFFSET_LOOKBACK, end + OFFSET_LOOKBACK)
    for gap in gaps:
        _, stream_epoch, partition, first, last, dead_letters, _ = gap
        explained = sum(
            (stream_epoch, partition) == (epoch, part) and first <= offset <= last
            for epoch, part, offset in forgotten
        )
        if last - first + 1 > dead_letters + explained:
            yield (*gap[:6], explained, gap[6])


def _offsets(warehouse: Warehouse, span: Span, topic: str, lake: Lake) -> Verdicts:
    # The hour before counts only if it was taken in as well; else its offsets are not missing, just not there yet.
    start = span[0]
    lookback = start - OFFSET_LOOKBACK if warehouse.was_taken_in(start - HOUR) else start
    around = {"lookback": literal(lookback), "next_end": literal(span[1] + HOUR)}
    gaps: dict[datetime, list[tuple]] = {}
    found = warehouse.rows(OFFSET_GAPS.format(topic=topic, **around, **_bounds(span)))
    unread = cache(partial(_unread, warehouse, lake, topic))
    for *gap, previous_hour in _unexplained(lake, topic, found):
        hour = as_utc(gap[0])
        if previous_hour < gap[0] and tuple(gap[1:3]) in unread(as_utc(previous_hour)):
            continue  # the end of the hour before lies in the lake; the run that takes it in looks at the gap, too
        gaps.setdefault(hour if hour < span[1] else as_utc(previous_hour), []).append(tuple(gap))
    columns = ("hour", "stream_epoch", "partition", "first", "last", "dead_letters", "forgotten")
    return {
        hour: Verdict(
            False,
            {
                "missing_offsets": int(
                    sum(last - first + 1 - dead - gone for *_, first, last, dead, gone in found)
                ),
                **_findings(columns, found),
            },
        )
        for hour, found in gaps.items()
    }


def _unread(warehouse: Warehouse, lake: Lake, topic: str, hour: datetime) -> set[tuple[str, int]]:
    """Stream epochs and partitions of which the hour has objects that the tables do not hold as they lie there."""
    span = hour, hour + HOUR
    held = {(name, size) for name, size, *_ in warehouse.held_versions(span)}
    return {
        (row.name.stream_epoch or "", row.name.partition)
        for row in list_hours(lake, topic, *span).objects
        if isinstance(row.name, ObjectName) and (str(row.name), row.size) not in held
    }


def _quarantine(warehouse: Warehouse, span: Span, limit: float) -> Verdicts:
    by_hour: dict[datetime, list[tuple]] = {}
    for *row, unrepaired, total in warehouse.rows(QUARANTINE.format(**_bounds(span))):
        by_hour.setdefault(as_utc(row[0]), []).append((*row, round(unrepaired), total))
    verdicts = {}
    for hour, found in by_hour.items():
        shares: dict[str, float] = {}
        for _, topic, _, _, unrepaired, total in found:
            shares[topic] = shares.get(topic, 0.0) + unrepaired / max(int(total), 1)
        verdicts[hour] = Verdict(
            max(shares.values()) <= limit,
            {
                "rows": int(sum(row[3] for row in found)),
                "highest_share": max(shares.values()),
                **_findings(("hour", "topic", "reason", "rows", "unrepaired", "of"), found),
            },
            dg.AssetCheckSeverity.WARN,
        )
    return verdicts


def _levels(warehouse: Warehouse, span: Span) -> Verdicts:
    return {
        as_utc(hour): Verdict(
            disagreeing <= at_most_by_chance(LEVEL_SHARE, listeners),
            {"listeners": listeners, "disagreeing": disagreeing},
            dg.AssetCheckSeverity.WARN,
        )
        for hour, listeners, disagreeing in warehouse.rows(LEVELS.format(**_bounds(span)))
    }


def _fields(warehouse: Warehouse, span: Span) -> Verdicts:
    told: dict[datetime, list[tuple]] = {}
    now = datetime.now(UTC)
    for (
        at,
        topic,
        field,
        rows,
        absent,
        is_often_absent,
        unknown,
        value,
        mean,
        is_out_of_range,
    ) in warehouse.rows(UNUSUAL_FIELDS.format(limits=limits_of_fields(), **_bounds(span))):
        found = list[tuple]()
        if is_often_absent and field not in expired_fields(BY_TOPIC[topic], as_utc(at), now):
            found.append((at, topic, field, "absent", "", absent, rows))
        if unknown:
            found.append((at, topic, field, "unknown value", value, unknown, rows))
        if is_out_of_range:
            found.append((at, topic, field, "mean out of bounds", f"{mean:f}", rows, rows))
        if found:
            told.setdefault(as_utc(at), []).extend(found)
    columns = ("hour", "topic", "field", "what", "value", "rows", "of")
    return {
        hour: Verdict(False, _findings(columns, found), dg.AssetCheckSeverity.WARN)
        for hour, found in told.items()
    }


def _drift(warehouse: Warehouse, span: Span) -> Verdicts:
    columns = ("hour", "topic", "field", "what", "detail", "rows", "of")
    return {
        hour: Verdict(
            False,
            _findings(columns, [(hour, *vars(one).values()) for one in found]),
            dg.AssetCheckSeverity.WARN,
        )
        for hour, found in departures(warehouse, span).items()
    }


def _records(warehouse: Warehouse, span: Span) -> Verdicts:
    told: dict[datetime, list[tuple]] = {}
    bounds = _bounds(span)
    around = {"lookback": literal(span[0] - COPIES_APART), "next_end": literal(span[1] + COPIES_APART)}
    for at, topic, field, events in warehouse.rows(DIFFERING_COPIES.format(**bounds)):
        told.setdefault(as_utc(at), []).append(
            (at, topic, f"copies in the hour differ in {field}", "", events)
        )
    for topic, staging in STAGING.items():
        columns = compared_columns(staging)
        sql = DIFFERING_HOURS.format(staging=staging, differences=differences(columns), **around, **bounds)
        for at, _, *counts in warehouse.rows(sql):
            told.setdefault(as_utc(at), []).extend(
                (at, topic, f"copies in other hours differ in {column}", "", count)
                for column, count in zip(columns, counts, strict=True)
                if count
            )
    for at, topic, what, user, rows in warehouse.rows(CONTRADICTING_USERS.format(**bounds)):
        told.setdefault(as_utc(at), []).append((at, topic, what, user, rows))
    shown = ("hour", "topic", "what", "for_one_user", "rows")
    return {
        hour: Verdict(False, _findings(shown, found), dg.AssetCheckSeverity.WARN)
        for hour, found in told.items()
        if found
    }


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
