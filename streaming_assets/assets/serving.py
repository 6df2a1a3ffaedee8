"""What people look at: the published snapshot of the tables, and the dashboards on it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from streaming_assets.assets.keys import OWNERS, SNAPSHOT
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.lake.names import HOUR
from streaming_assets.published.manifest import Hours, Manifest, SnapshotError, Table
from streaming_assets.published.publication import Publication, is_whole
from streaming_assets.published.tables import PublishedTable, TableError
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import QueryFailed, ReadersTable, Warehouse

ALL_PUBLISHED = dg.AssetCheckSpec(
    "days_are_published",
    asset=SNAPSHOT,
    description="The snapshot has every day of its tables, in files that are there, and no day waits to be published.",
)
SHOWN = 50  # findings that the check lists; it counts them all
LOOKED_BACK = timedelta(days=7)  # over which hours pages say what is missing
DAYS_A_READ = 31  # of a table: the rows of as many days are in memory at once


def build_snapshot(
    hours: dg.PartitionsDefinition,
    read: Sequence[dg.AssetKey],
    tables: Collection[PublishedTable],
    named: Collection[PublishedTable],
    settings: Settings,
) -> dg.AssetsDefinition:
    """The snapshot of the tables that people and dashboards read; a run publishes the days that changed.

    Args:
        hours: the partitions.
        read: the models that it is made of.
        tables: those that are published as files.
        named: those that readers see, in the warehouse itself where it has readers.
        settings: where it is published.
    """

    @dg.asset(
        key=SNAPSHOT,
        deps=list(read),
        group_name="serving",
        kinds={"parquet"},
        owners=OWNERS,
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.warehouse.hours_per_step),
        pool=WAREHOUSE_POOL,
        op_tags={"dagster/priority": "1"},  # before the checks of the same run, which stop nothing
        description="Facts, dimensions and marts for whoever reads them: a parquet file a table and day, under a "
        "manifest that is replaced in one move, and analytics.duckdb, with views over them. Readers never block the "
        "warehouse and never see half of it.",
    )
    def dashboard_snapshot(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        with warehouse.exclusive():
            published = bring_up_to_date(settings.published_dir, tables, warehouse)
            published.findings += warehouse.show_to_readers(map(readers_table, named))
        for finding in published.findings:
            context.log.warning(finding)
        for reason in published.refused:
            context.log.error(f"Not published, and tried again by each run: {reason}")
        # Of the whole snapshot, not of the run's hours: so it is no part of the run.
        context.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=SNAPSHOT,
                check_name=ALL_PUBLISHED.name,
                passed=not published.refused,
                metadata={"findings": len(published.refused), "first_findings": published.refused[:SHOWN]},
            )
        )
        return dg.MaterializeResult(
            metadata={
                "days": published.days,
                "rows": published.rows,
                "as_of": dg.MetadataValue.timestamp(published.as_of),
                "refused": published.refused,
            }
        )

    return dashboard_snapshot


def readers_table(table: PublishedTable) -> ReadersTable:
    """A published table as readers of the warehouse see it."""
    columns = {name: table.column_descriptions[name] for name in table.schema.names}
    return ReadersTable(table.name, table.description, columns, table.masked)


@dataclass
class Published:
    """What a publication did.

    Attributes:
        as_of: the time up to which the snapshot has data, UTC.
        findings: what of the former snapshot could not be used, as sentences.
        days: days of tables that were published; views on one count with it.
        rows: rows of the files that were written.
        refused: why which table's day was not: its rows break their contract. Its former rows stay.
    """

    as_of: datetime
    findings: list[str]
    days: int = 0
    rows: int = 0
    refused: list[str] = field(default_factory=list)


def bring_up_to_date(folder: Path, tables: Collection[PublishedTable], warehouse: Warehouse) -> Published:
    """Hold the snapshot to the tables: to their days, and on the days that are queued, to their rows.

    A day that breaks its table's contract stops itself alone: it stays in the queue.
    """
    import pyarrow.compute as pc

    queued = warehouse.queued_days()
    missing = _missing(tables, warehouse)
    standing = warehouse.all_days(
        {table.mart: table.mart_day for table in tables if table.mart and table.mart not in missing}
    )
    end = warehouse.newest_hour_end()
    as_of = min(end, datetime.now(UTC))
    written: set[tuple[str, date]] = set()
    refused: set[tuple[str, date]] = set()
    with Publication.begin(folder, tables, warehouse.generation() or "") as publication:
        published = Published(as_of, publication.findings)
        for table in tables:
            if {table.name, table.mart} & missing:
                published.refused.append(_absent(table, missing))
                refused |= {(table.queue, day) for day in queued.get(table.queue, [])}
                continue
            if not table.day_column:
                _publish_whole(publication, table, warehouse, published)
                continue
            days = set(standing[table.mart])
            for day in publication.days(table.name) - days:
                publication.drop(table.name, day)
            due = sorted(days & ({*queued.get(table.queue, [])} | (days - publication.days(table.name))))
            at_once = DAYS_A_READ if table.is_mart else 1
            for some in (due[start : start + at_once] for start in range(0, len(due), at_once)):
                try:
                    read = warehouse.days(table.name, table.day_column, some)
                except QueryFailed as error:
                    published.refused.append(f"{table.name} of {some[0]} to {some[-1]}: {error}")
                    refused |= {(table.queue, day) for day in some}
                    continue
                for day in some:
                    rows = read.filter(pc.field(table.day_column) == day) if len(some) > 1 else read
                    try:
                        publication.put(table.name, day, rows)
                    except TableError as error:
                        published.refused.append(str(error))
                        refused.add((table.queue, day))
                        continue
                    written.add((table.queue, day))
                    published.rows += rows.num_rows
        publication.commit(as_of, hours_before(end, warehouse))
    published.days = len(written)
    warehouse.forget_queued(
        {name: [day for day in days if (name, day) not in refused] for name, days in queued.items()}
    )
    return published


def hours_before(end: datetime, warehouse: Warehouse) -> Hours | None:
    """What the tables lack of the hours of a week until `end`; None if they have nothing of them."""
    held = warehouse.hours_held((end - LOOKED_BACK, end))
    if not held:
        return None
    first = min(held)
    hours = [first + n * HOUR for n in range((end - first) // HOUR)]
    return Hours(
        first=first,
        absent=tuple(hour for hour in hours if hour not in held),
        unfinished=tuple(hour for hour in hours if not held.get(hour, True)),
    )


def _missing(tables: Iterable[PublishedTable], warehouse: Warehouse) -> set[str]:
    return {name for table in tables for name in (table.name, table.mart) if name} - warehouse.tables()


def _absent(table: PublishedTable, missing: Collection[str]) -> str:
    if table.name in missing:
        return f"{table.name} is not in the warehouse yet"
    return f"{table.name} waits for {table.mart}, which has its days and is not in the warehouse yet"


def _publish_whole(
    publication: Publication, table: PublishedTable, warehouse: Warehouse, published: Published
) -> None:
    signature = warehouse.signature(table.name)
    if publication.signature(table.name) == signature:
        return
    try:
        rows = warehouse.arrow(f"select * from {table.name}")
        publication.put_whole(table.name, signature, rows)
    except (QueryFailed, TableError) as error:
        published.refused.append(str(error))
        return
    published.rows += rows.num_rows


def unpublished(folder: Path, tables: Collection[PublishedTable], warehouse: Warehouse) -> list[str]:
    """What the next publication has to do, as sentences; none where the snapshot holds what the marts hold."""
    try:
        manifest = Manifest.read(folder)
    except SnapshotError as error:
        return [str(error)]
    if manifest.generation != (warehouse.generation() or ""):
        return ["The snapshot is of another warehouse, or of this one before it was rebuilt."]
    found = [
        f"{mart} of {day} waits to be published"
        for mart, days in warehouse.queued_days().items()
        for day in days
    ]
    missing = _missing(tables, warehouse)
    for table in tables:
        if {table.name, table.mart} & missing:
            found.append(_absent(table, missing))
            continue
        held = manifest.tables.get(table.name, Table(layout=table.layout))
        if held.layout != table.layout:
            found.append(f"{table.name} is published with other columns, another grain, or others masked")
        found += [
            f"{folder / file.file} is gone or damaged"
            for file in held.present()
            if not is_whole(folder / file.file, file, by_content=False)
        ]
        if not table.day_column:
            if held.signature != warehouse.signature(table.name):
                found.append(f"{table.name} has changed since it was published")
            continue
        days = set(warehouse.all_days({table.mart: table.mart_day})[table.mart])
        found += [f"{table.name} of {day} is not published" for day in sorted(days - set(held.days))]
        found += [
            f"{table.name} of {day} is published, and no longer in its mart"
            for day in sorted(set(held.days) - days)
        ]
    return found


def dashboard_specs(settings: Settings) -> list[dg.AssetSpec]:
    """The dashboards, with the addresses at which they answer while they run."""
    base = f"http://{settings.web.bind_host}:{settings.dashboards.port}"
    return [
        dg.AssetSpec(
            dg.AssetKey(["serving", name]),
            deps=[SNAPSHOT],
            description=description,
            group_name="serving",
            kinds={"dash", "dashboard"},
            owners=OWNERS,
            metadata={"page": dg.MetadataValue.url(base + path)},
        )
        for name, path, description in (
            ("kpi_dashboard", "/", "Business KPIs: users, conversion, revenue, activity by day."),
            ("music_dashboard", "/music", "Music charts: genres, songs, artists, states."),
            ("listeners_dashboard", "/listeners", "Who comes, stays and pays: retention, new users, funnel."),
            ("habits_dashboard", "/habits", "When and how long people listen, and what they play next."),
        )
    ]
