"""What people look at: the published snapshot of the marts, and the dashboards on it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from streaming_assets.assets.keys import OWNERS, SNAPSHOT
from streaming_assets.dagster_runtime.instance import WAREHOUSE_POOL
from streaming_assets.published.manifest import Manifest, SnapshotError
from streaming_assets.published.publication import Publication, is_whole
from streaming_assets.published.tables import PublishedTable, TableError
from streaming_assets.settings import Settings
from streaming_assets.warehouses.warehouse import QueryFailed, Warehouse

ALL_PUBLISHED = dg.AssetCheckSpec(
    "days_are_published",
    asset=SNAPSHOT,
    description="The snapshot has every day of the marts, in files that are there, and no day waits to be published.",
)
SHOWN = 50  # findings that the check lists; it counts them all
DAYS_A_READ = 31  # of a table: the rows of as many days are in memory at once


def build_snapshot(
    hours: dg.PartitionsDefinition,
    marts: Sequence[dg.AssetKey],
    tables: Collection[PublishedTable],
    settings: Settings,
) -> dg.AssetsDefinition:
    """The snapshot of the marts that the dashboards read; a run publishes the days that changed."""

    @dg.asset(
        key=SNAPSHOT,
        deps=list(marts),
        group_name="serving",
        kinds={"parquet"},
        owners=OWNERS,
        partitions_def=hours,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description="The marts as the dashboards read them: a parquet file a table and day, under a manifest "
        "that is replaced in one move. Readers never block the warehouse and never see half of it.",
    )
    def dashboard_snapshot(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        with warehouse.exclusive():
            published = bring_up_to_date(settings.published_dir, tables, warehouse)
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


@dataclass
class Published:
    """What a publication did.

    Attributes:
        as_of: the time up to which the snapshot has data, UTC.
        findings: what of the former snapshot could not be used, as sentences.
        days: days of marts that were published.
        rows: rows of the files that were written.
        refused: why which table's day was not: its rows break their contract. Its former rows stay.
    """

    as_of: datetime
    findings: list[str]
    days: int = 0
    rows: int = 0
    refused: list[str] = field(default_factory=list)


def bring_up_to_date(folder: Path, tables: Collection[PublishedTable], warehouse: Warehouse) -> Published:
    """Hold the snapshot to the marts: to their days, and on the days that are queued, to their rows.

    A day that breaks its table's contract stops itself alone: it stays in the queue.
    """
    import pyarrow.compute as pc

    queued = warehouse.queued_days()
    missing = {mart for mart in {table.mart for table in tables} if not warehouse.has_table(mart)}
    standing = warehouse.all_days(
        {table.mart: table.mart_day for table in tables if table.mart not in missing}
    )
    as_of = min(warehouse.newest_hour_end(), datetime.now(UTC))
    written: set[tuple[str, date]] = set()
    refused: set[tuple[str, date]] = set()
    with Publication.begin(folder, tables, warehouse.generation() or "") as publication:
        published = Published(as_of, publication.findings)
        for table in tables:
            if table.mart in missing or not warehouse.has_table(table.name):
                published.refused.append(f"{table.name} is not in the warehouse yet")
                refused |= {(table.mart, day) for day in queued.get(table.mart, [])}
                continue
            days = set(standing[table.mart])
            for day in publication.days(table.name) - days:
                publication.drop(table.name, day)
            due = sorted(days & ({*queued.get(table.mart, [])} | (days - publication.days(table.name))))
            for some in (due[start : start + DAYS_A_READ] for start in range(0, len(due), DAYS_A_READ)):
                try:
                    read = warehouse.days(table.name, table.day_column, some)
                except QueryFailed as error:
                    published.refused.append(f"{table.name} of {some[0]} to {some[-1]}: {error}")
                    refused |= {(table.mart, day) for day in some}
                    continue
                for day in some:
                    rows = read.filter(pc.field(table.day_column) == day)
                    try:
                        publication.put(table.name, day, rows)
                    except TableError as error:
                        published.refused.append(str(error))
                        refused.add((table.mart, day))
                        continue
                    written.add((table.mart, day))
                    published.rows += rows.num_rows
        publication.commit(as_of)
    published.days = len(written)
    warehouse.forget_queued(
        {mart: [day for day in days if (mart, day) not in refused] for mart, days in queued.items()}
    )
    return published


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
    for table in tables:
        if not (warehouse.has_table(table.mart) and warehouse.has_table(table.name)):
            found.append(f"{table.name} is not in the warehouse yet")
            continue
        days = set(warehouse.all_days({table.mart: table.mart_day})[table.mart])
        published = manifest.tables[table.name].days if table.name in manifest.tables else {}
        found += [f"{table.name} of {day} is not published" for day in sorted(days - set(published))]
        found += [
            f"{table.name} of {day} is published, and no longer in its mart"
            for day in sorted(set(published) - days)
        ]
        found += [
            f"{folder / file.file} is gone or damaged"
            for day, file in published.items()
            if file and not is_whole(folder / file.file, file, by_content=False)
        ]
    return found


def dashboard_specs(settings: Settings) -> list[dg.AssetSpec]:
    """The two dashboards, with the addresses at which they answer while they run."""
    base = f"http://{settings.bind_host}:{settings.dashboards_port}"
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
        )
    ]
