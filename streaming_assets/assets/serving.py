"""What people look at: the published snapshot of the marts, and the dashboards on it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow as pa

from streaming_assets.assets.keys import OWNERS, SNAPSHOT
from streaming_assets.dashboards.manifest import Manifest, SnapshotError
from streaming_assets.dashboards.snapshot import publish
from streaming_assets.resources.instance import WAREHOUSE_POOL
from streaming_assets.resources.warehouse import Warehouse
from streaming_assets.settings import Settings

# The published tables that follow from each mart that changes by the day, with the column of the day.
FOLLOWERS = {
    "mart_daily_active_users": (("mart_daily_active_users", "event_date"),),
    "mart_daily_ad_revenue": (("mart_daily_ad_revenue", "event_date"),),
    "mart_weekly_users": (("mart_weekly_users", "week_start"),),
    "mart_daily_streams": (
        ("mart_daily_song_streams", "event_date"),
        ("mart_daily_artist_streams", "event_date"),
        ("mart_daily_genre_streams", "event_date"),
        ("mart_daily_state_streams", "event_date"),
    ),
}
DAY_COLUMNS = {mart: followers[0][1] for mart, followers in FOLLOWERS.items()}


def build_snapshot(
    hours: dg.PartitionsDefinition, marts: Sequence[dg.AssetKey], settings: Settings
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
    def dashboard_snapshot(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        with warehouse.exclusive():
            whole = not _is_readable(settings)
            queued = warehouse.all_days(DAY_COLUMNS) if whole else warehouse.queued_days()
            tables = {
                table: _by_day(warehouse.days(table, column, days), column, days)
                for mart, days in queued.items()
                for table, column in FOLLOWERS[mart]
            }
            as_of = min(warehouse.newest_hour_end(), datetime.now(UTC))
            manifest = publish(settings.published_dir, tables, as_of, replace_all=whole)
            warehouse.forget_queued(queued)
        return dg.MaterializeResult(
            metadata={
                "days": sum(len(days) for days in queued.values()),
                "rows": sum(table.num_rows for days in tables.values() for table in days.values()),
                "as_of": dg.MetadataValue.timestamp(manifest.as_of),
            }
        )

    return dashboard_snapshot


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


def _is_readable(settings: Settings) -> bool:
    """Whether there is a snapshot to add days to; without one, or with a damaged one, all days are published."""
    try:
        Manifest.read(settings.published_dir)
    except SnapshotError:
        return False
    return True


def _by_day(rows: pa.Table, column: str, days: list[date]) -> dict[date, pa.Table]:
    """`rows` of a mart by day; a day without any is there too, so that it leaves the snapshot."""
    import pyarrow.compute as pc

    return {day: rows.filter(pc.field(column) == day) for day in days}
