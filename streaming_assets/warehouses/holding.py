"""What the tables hold of the lake, asked of the tables themselves: objects, rows an hour, events, tables without rows.

All functions take the hours that they look at; for a warehouse whose queries are charged, the caller chooses few.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streaming_assets.events import DEAD_LETTERS
from streaming_assets.lake.names import TopicHour
from streaming_assets.partitions import Span
from streaming_assets.warehouses.tables import STAGING, literal
from streaming_assets.warehouses.warehouse import Warehouse, as_utc, in_span

FACT, SESSIONS = "fact_listen_events", "fact_session_events"
# Models that have rows whenever the staging table has some. Named, since that is what these models mean: a topic whose
# models are not here is held to its objects and to staging.
FOLLOWERS = {
    STAGING["listen_events"]: ("dim_users", "dim_songs", "dim_locations", FACT, "mart_daily_streams"),
    STAGING["page_view_events"]: ("dim_pages", SESSIONS, "mart_daily_active_users", "mart_weekly_users"),
}
_MOST_NAMED = 200  # hours that a query names one by one


@dataclass(frozen=True)
class HeldObject:
    """An object as a run read it last; `rows` None where it could not be read."""

    size: int
    generation: int
    content: str | None
    rows: int | None
    is_processed: bool


@dataclass(frozen=True)
class HourRows:
    """Rows of a topic's hour: those in its objects, and what became of them in the tables."""

    lines: int = 0
    staged: int = 0  # with repeats
    quarantined: int = 0
    filtered: int = 0

    @property
    def accounted(self) -> int:
        """Rows that the tables tell of."""
        return self.staged + self.quarantined + self.filtered

    @property
    def is_wholly_quarantined(self) -> bool:
        """Whether there were rows, and not one of them could be used."""
        return self.quarantined > 0 and self.staged == self.filtered == 0


@dataclass(frozen=True)
class Tables:
    """What the warehouse knows of some hours.

    Attributes:
        generation: the warehouse's; None if nothing was ever written.
        objects: the objects of each topic's hour, by name.
        rows: the rows of each topic's hour.
        lacking: what the tables lack of a topic's hour although it is staged, in words.
        surplus: events of an hour in the facts that its objects hold no more.
    """

    generation: str | None = None
    objects: Mapping[TopicHour, Mapping[str, HeldObject]] = field(default_factory=dict)
    rows: Mapping[TopicHour, HourRows] = field(default_factory=dict)
    lacking: Mapping[TopicHour, list[str]] = field(default_factory=dict)
    surplus: Mapping[datetime, int] = field(default_factory=dict)


def look_at_tables(warehouse: Warehouse, span: Span, *, deep: bool) -> Tables:
    """All that the tables tell of the hours of `span`; to be called by whoever holds the warehouse.

    Args:
        warehouse: is asked some eight queries, whatever the span's length.
        span: the hours.
        deep: whether facts are asked as well: that reads their keys of all time where hours don't prune them.
    """
    present = warehouse.tables()
    if "lake_objects" not in present:
        return Tables()
    objects = held_objects(warehouse, span)
    rows = rows_by_hour(warehouse, present, span)
    lacking: dict[TopicHour, list[str]] = {}
    surplus: dict[datetime, int] = {}
    if deep:
        staged = {table for table in FOLLOWERS if table in present}
        for table, model in _without_rows(warehouse, present, staged):
            topic = next(topic for topic, name in STAGING.items() if name == table)
            for key in [key for key, found in rows.items() if key[0] == topic and found.staged]:
                lacking.setdefault(key, []).append(f"{model} has no rows")
        if STAGING["listen_events"] in staged and FACT in present:
            missing, surplus = _compared_listens(warehouse, span)
            for hour, count in missing.items():
                lacking.setdefault(("listen_events", hour), []).append(f"{count:,} listens are not in {FACT}")
        if STAGING["page_view_events"] in staged and SESSIONS in present:
            for hour, count in _views_without_session(warehouse, span).items():
                lacking.setdefault(("page_view_events", hour), []).append(
                    f"{count:,} page views are in no row of {SESSIONS}"
                )
    return Tables(warehouse.generation(), objects, rows, lacking, surplus)


def joined(parts: Iterable[Tables]) -> Tables:
    """What the tables tell of several spans, which have no hour in common."""
    whole = Tables()
    for part in parts:
        whole = Tables(
            part.generation,
            {**whole.objects, **part.objects},
            {**whole.rows, **part.rows},
            {**whole.lacking, **part.lacking},
            {**whole.surplus, **part.surplus},
        )
    return whole


def held_objects(warehouse: Warehouse, span: Span) -> dict[TopicHour, dict[str, HeldObject]]:
    """The inventory of the hours: what runs over them read last."""
    found: dict[TopicHour, dict[str, HeldObject]] = {}
    for topic, hour, name, *values in warehouse.rows(
        "select topic, bucket_ingestion_datetime, object_name, size_bytes, generation, content_hash, row_count,"
        f" is_processed from lake_objects where {in_span(span)}"
    ):
        found.setdefault((topic, as_utc(hour)), {})[name] = HeldObject(*values)
    return found


def rows_by_hour(warehouse: Warehouse, present: Collection[str], span: Span) -> dict[TopicHour, HourRows]:
    """Rows of each topic's hour, in its objects and in the tables that there are."""
    hours = in_span(span)
    parts = [
        "select topic, bucket_ingestion_datetime as hour, sum(row_count) as in_objects, 0 as staged,"
        f" 0 as quarantined, 0 as filtered from lake_objects where {hours} group by 1, 2"
    ]
    parts += [
        f"select '{topic}', bucket_ingestion_datetime, 0, sum(copies), 0, 0 from {table} where {hours} group by 2"
        for topic, table in STAGING.items()
        if table in present
    ]
    if "stg_quarantine" in present:
        of_topic = f"case when dead_letter_offset is null then topic else '{DEAD_LETTERS.topic}' end"
        parts.append(
            f"select {of_topic}, bucket_ingestion_datetime, 0, 0, count(*), 0"
            f" from stg_quarantine where {hours} group by 1, 2"
        )
    if "stg_filtered_rows" in present:
        parts.append(
            "select topic, bucket_ingestion_datetime, 0, 0, 0, sum(row_count)"
            f" from stg_filtered_rows where {hours} group by 1, 2"
        )
    summed = ", ".join(
        f"sum({column}) as {column}" for column in ("in_objects", "staged", "quarantined", "filtered")
    )
    found = warehouse.rows(
        f"select topic, hour, {summed} from ({' union all '.join(parts)}) as counted group by 1, 2"
    )
    return {
        (topic, as_utc(hour)): HourRows(*(int(count or 0) for count in counts))
        for topic, hour, *counts in found
    }


def wholly_quarantined(rows: Mapping[TopicHour, HourRows]) -> dict[TopicHour, int]:
    """The topics' hours of which no row could be used, with their rows; dead letters are none of them."""
    return {
        key: found.quarantined
        for key, found in sorted(rows.items(), key=lambda item: (item[0][1], item[0][0]))
        if found.is_wholly_quarantined and key[0] != DEAD_LETTERS.topic
    }


def _without_rows(
    warehouse: Warehouse, present: Collection[str], staged: Iterable[str]
) -> list[tuple[str, str]]:
    """(staging table, model) where the one has rows and the other has none, or is not there at all."""
    pairs = [(table, model) for table in staged for model in FOLLOWERS[table]]
    tables = {name for pair in pairs for name in pair if name in present}
    counts = " union all ".join(f"select '{name}', count(*) from {name}" for name in sorted(tables))
    rows = dict(warehouse.rows(counts)) if counts else {}
    return [(table, model) for table, model in pairs if rows.get(table) and not rows.get(model)]


def _compared_listens(warehouse: Warehouse, span: Span) -> tuple[dict[datetime, int], dict[datetime, int]]:
    """Listens that are staged and in no fact, and facts that are staged no more, by hour.

    Most hours are settled by their count and signature; only the others' events are joined.
    """
    staging, hour, signature = (
        STAGING["listen_events"],
        "bucket_ingestion_datetime",
        warehouse.event_signature,
    )
    by_hour = f"select {hour} as hour, count(*) as events, {signature} as signature"
    differing = [
        at
        for (at,) in warehouse.rows(
            f"with staged as ({by_hour} from {staging} where {in_span(span)} group by 1),"
            f" facts as ({by_hour} from {FACT} where {in_span(span)} group by 1)"
            " select coalesce(staged.hour, facts.hour) as hour from staged full join facts on staged.hour = facts.hour"
            " where staged.hour is null or facts.hour is null or staged.events <> facts.events"
            " or staged.signature <> facts.signature"
        )
    ]
    if not differing:
        return {}, {}
    missing = warehouse.rows(
        f"select staged.{hour} as hour, count(*) as events from {staging} as staged"
        f" left join {FACT} as facts on staged.event_id = facts.event_id"
        f" where {_of_hours(differing, 'staged.')} and facts.event_id is null group by 1"
    )
    surplus = warehouse.rows(
        f"select facts.{hour} as hour, count(*) as events from {FACT} as facts"
        f" left join {staging} as staged on facts.event_id = staged.event_id and facts.{hour} = staged.{hour}"
        f" where {_of_hours(differing, 'facts.')} and staged.event_id is null group by 1"
    )
    return {as_utc(at): count for at, count in missing}, {as_utc(at): count for at, count in surplus}


def _views_without_session(warehouse: Warehouse, span: Span) -> dict[datetime, int]:
    """Staged page views whose user and session id have no session at their time, by hour."""
    found = warehouse.rows(
        "with seen as (select bucket_ingestion_datetime as hour, user_id, session_id,"
        " min(event_datetime) as first_view, max(event_datetime) as last_view, count(*) as views"
        f" from {STAGING['page_view_events']} where {in_span(span)} group by 1, 2, 3)"
        f" select seen.hour as hour, sum(seen.views) as views from seen left join {SESSIONS} as sessions"
        " on seen.user_id = sessions.user_id and seen.session_id = sessions.session_id"
        " and sessions.session_end_datetime >= seen.first_view"
        " and sessions.session_start_datetime <= seen.last_view"
        " where sessions.user_id is null group by 1"
    )
    return {as_utc(hour): int(views) for hour, views in found}


def _of_hours(hours: list[datetime], table: str) -> str:
    """The condition that a row is of these hours; of many, that it lies between the first and the last."""
    column = f"{table}bucket_ingestion_datetime"
    if len(hours) > _MOST_NAMED:
        return f"{column} between {literal(min(hours))} and {literal(max(hours))}"
    return f"{column} in ({', '.join(map(literal, hours))})"
