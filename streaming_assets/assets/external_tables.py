"""External tables over the lake. An hour's run lists and checks its objects here before anything reads them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from streaming_assets.assets.hourly_metadata import add_hourly_metadata
from streaming_assets.assets.keys import INVENTORY, LOCATIONS, OWNERS, SONGS, external_key, prefix_key
from streaming_assets.assets.source import declared_columns, event_columns
from streaming_assets.contracts import declared_table
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.events import EVENT_TYPES, LAKE_TOPICS, LAKE_TYPES
from streaming_assets.lake.expiry import expired_fields, take_out_expired
from streaming_assets.lake.forgetting import read_people, take_out
from streaming_assets.lake.inventory import HourListing, InventoryRow, list_topics, read_rows
from streaming_assets.lake.names import LOCATIONS as LOCATIONS_FILE
from streaming_assets.lake.names import SONGS as SONGS_FILE
from streaming_assets.lake.store import Lake, LakeObject
from streaming_assets.partitions import Span, key_of
from streaming_assets.published.tables import PublishedTable
from streaming_assets.text import counted
from streaming_assets.warehouses.warehouse import Warehouse

BYTES_TAKEN_IN = "bytes_taken_in"  # metadata of a topic's table: bytes of its objects, of all hours
REFERENCE_TABLES = {"songs_ext": SONGS_FILE, "locations_ext": LOCATIONS_FILE}


def inventory_spec(hours: dg.PartitionsDefinition, kind: str) -> dg.AssetSpec:
    """The inventory of the lake's objects, which the step below writes and all models of events read.

    It is seen alone: what a run listed is told with the external tables.
    """
    table = declared_table(INVENTORY.path[-1])
    return dg.AssetSpec(
        INVENTORY,
        deps=[prefix_key(topic) for topic in LAKE_TOPICS],
        description=table.description,
        group_name="external",
        kinds={kind},
        owners=OWNERS,
        partitions_def=hours,
        metadata={"dagster/column_schema": declared_columns(table)},
    )


def build_event_tables(hours: dg.PartitionsDefinition, kind: str, hours_per_step: int) -> dg.AssetsDefinition:
    """The external tables of the topics, as one step over a range of hours.

    An hour's objects are listed and checked for all topics, whichever tables were asked for: what the models read is
    one inventory. Only the tables that were asked for are reported.

    Args:
        hours: the partitions.
        kind: tag of the warehouse, such as `duckdb`.
        hours_per_step: the longest span, h, of a backfill's run.
    """
    specs = [
        dg.AssetSpec(
            external_key(event_type.external_table or ""),
            deps=[prefix_key(event_type.topic)],
            description=f"Events of topic {event_type.topic} as they lie in the lake. All is text (fields on "
            "DuckDB, lines on BigQuery), so that nothing in it can break a read. Read it with a filter on `date`.",
            group_name="external",
            kinds={kind, "json"},
            owners=OWNERS,
            metadata={"dagster/column_schema": event_columns(event_type)},
        )
        for event_type in LAKE_TYPES
    ]

    @dg.multi_asset(
        name="event_tables",
        specs=specs,
        can_subset=True,
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(hours_per_step),
        pool=WAREHOUSE_POOL,
    )
    def event_tables(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult]:
        window = context.partition_time_window
        span = (window.start, window.end)
        with warehouse.exclusive():
            warehouse.prepare()
            objects = _take_stock(context, lake, warehouse, span)
            held = warehouse.bytes_taken_in() if warehouse.asks_freely else {}
            for event_type in LAKE_TYPES:
                warehouse.create_event_table(event_type, lake, context.log.warning)
            for table, file in REFERENCE_TABLES.items():
                if not warehouse.create_reference_table(table, lake, file, context.log.warning):
                    context.log.warning(
                        f"{lake.uri(file)} is missing: all that events name becomes inferred members, "
                        "until the reference assets are materialised"
                    )
        tables = {
            external_key(event_type.external_table or ""): event_type.topic for event_type in LAKE_TYPES
        }
        selected = {key: topic for key, topic in tables.items() if key in context.selected_asset_keys}
        counts = {
            key: _by_hour(context.partition_keys, [row for row in objects if row.name.topic == topic])
            for key, topic in selected.items()
        }
        add_hourly_metadata(context, counts)
        for key, topic in selected.items():
            yield dg.MaterializeResult(
                asset_key=key, metadata={BYTES_TAKEN_IN: held.get(topic, 0)} if held else {}
            )

    return event_tables


def build_reference_tables(kind: str, published: Iterable[PublishedTable]) -> dg.AssetsDefinition:
    """The external tables of the two reference files; unpartitioned, since these do not arrive by the hour."""
    # Views name songs and places as the reference does now; tables keep what they were made with.
    named_now = sorted(
        {(table.queue, table.mart_day) for table in published if table.queue not in ("", table.name)}
    )
    specs = [
        dg.AssetSpec(
            external_key(table.name),
            deps=[file],
            description=table.description,
            group_name="external",
            kinds={kind, "parquet"},
            owners=OWNERS,
            metadata={"dagster/column_schema": declared_columns(table)},
        )
        for table, file in (
            (declared_table("songs_ext"), SONGS),
            (declared_table("locations_ext"), LOCATIONS),
        )
    ]

    @dg.multi_asset(name="reference_tables", specs=specs, can_subset=True, pool=WAREHOUSE_POOL)
    def reference_tables(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult]:
        with warehouse.exclusive():
            asked = [
                table for table in REFERENCE_TABLES if external_key(table) in context.selected_asset_keys
            ]
            for table in asked:
                file = REFERENCE_TABLES[table]
                if not warehouse.create_reference_table(table, lake, file, context.log.warning):
                    raise dg.Failure(f"{lake.uri(file)} is missing: materialise the reference assets first")
            # Genres may have changed on any day: the next hour's run publishes them all.
            for mart, column in named_now:
                warehouse.queue_all_days(mart, column)
            for table in asked:
                rows = warehouse.count_reference(table)
                yield dg.MaterializeResult(
                    asset_key=external_key(table), metadata={"dagster/row_count": rows}
                )

    return reference_tables


def _take_stock(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse, span: Span
) -> list[InventoryRow]:
    listing = _without_forgotten(context, lake, warehouse, span, list_topics(lake, LAKE_TOPICS, *span))
    listing = _without_expired(context, lake, warehouse, span, listing)
    if listing.strays:
        context.log.warning(f"No event objects, so left alone: {', '.join(map(lake.uri, listing.strays))}")
    objects: list[InventoryRow] = []
    told = datetime.now(UTC)
    for row in read_rows(lake, listing.objects, warehouse.known_rows(span), warehouse.lines_folder):
        objects.append(row)
        if datetime.now(UTC) - told > timedelta(seconds=10):
            told = datetime.now(UTC)
            context.log.info(f"{len(objects):,} of {len(listing.objects):,} objects read")
    warehouse.record_objects(span, objects)
    for row in objects:
        if row.error:
            context.log.error(f"Left out, and the rest of its hour goes on: {row.error}")
    return objects


def _without_forgotten(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse, span: Span, listing: HourListing
) -> HourListing:
    """The listing, once what new objects tell of people who are kept out has left them."""
    people = read_people(lake)
    if people is None or not people.hashes:
        return listing
    objects, lines, _ = take_out(lake, _new(warehouse, span, listing), people)
    if not objects:
        return listing
    context.log.info(f"{counted(lines, 'line')} of people who are kept out left {counted(objects, 'object')}")
    return list_topics(lake, LAKE_TOPICS, *span)


def _by_hour(hours: Iterable[str], objects: list[InventoryRow]) -> dict[str, dict[str, int]]:
    """Rows, objects and bytes of each partition."""
    totals = {hour: {"dagster/partition_row_count": 0, "objects": 0, "bytes": 0} for hour in hours}
    for row in objects:
        total = totals[key_of(row.name.hour)]
        total["dagster/partition_row_count"] += row.rows or 0
        total["objects"] += 1
        total["bytes"] += row.size
    return totals


def _without_expired(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse, span: Span, listing: HourListing
) -> HourListing:
    """The listing, once what their contracts keep no longer has left new objects of old hours, such as a replay's."""
    now = datetime.now(UTC)
    if not any(expired_fields(kind, span[0], now) for kind in EVENT_TYPES):
        return listing
    objects, _ = take_out_expired(lake, _new(warehouse, span, listing), now, EVENT_TYPES)
    if not objects:
        return listing
    context.log.info(f"Expired personal fields left {counted(objects, 'object')}")
    return list_topics(lake, LAKE_TOPICS, *span)


def _new(warehouse: Warehouse, span: Span, listing: HourListing) -> list[LakeObject]:
    """The listed objects that no run has read as they are."""
    known = warehouse.known_rows(span)
    return [
        LakeObject(str(row.name), row.size, row.generation)
        for row in listing.objects
        if not row.error and (row.uri, row.size, row.generation) not in known
    ]
