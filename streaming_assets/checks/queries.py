"""The questions that checks ask the warehouse, as SQL over a span of hours. Each finding is a row.

`{start}`, `{end}` are timestamp literals; `{topic}`, `{staging}` name a topic and its staging table.
"""

from collections.abc import Iterable

from streaming_assets.contracts import EventField, EventType, model_columns
from streaming_assets.events import WAREHOUSE_TYPES

_ANY = 10**12  # beyond every number that a field may have

# Hours in which the rows of the objects are not all staged (repeats included), quarantined or filtered.
UNACCOUNTED_ROWS = """
with objects as (
    select bucket_ingestion_datetime as hour, sum(row_count) as row_count
    from lake_objects
    where topic = '{topic}' and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime
),
staged as (
    select bucket_ingestion_datetime as hour, count(*) as row_count, sum(copies) as copies
    from {staging}
    where bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime
),
quarantined as (
    select bucket_ingestion_datetime as hour, count(*) as row_count
    from stg_quarantine
    where topic = '{topic}' and dead_letter_offset is null
        and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime
),
filtered as (
    select bucket_ingestion_datetime as hour, sum(row_count) as row_count
    from stg_filtered_rows
    where topic = '{topic}' and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime
)
select
    coalesce(objects.hour, staged.hour) as hour,
    coalesce(objects.row_count, 0) as in_objects,
    coalesce(staged.row_count, 0) as staged,
    coalesce(staged.copies, 0) - coalesce(staged.row_count, 0) as duplicates,
    coalesce(quarantined.row_count, 0) as quarantined,
    coalesce(filtered.row_count, 0) as filtered
from objects
full join staged on objects.hour = staged.hour
left join quarantined on coalesce(objects.hour, staged.hour) = quarantined.hour
left join filtered on coalesce(objects.hour, staged.hour) = filtered.hour
"""

# Offsets that the hours, the step into them from the hour before, or the one out of them into the next hour (if it was
# taken in first) leave out, less those of dead letters. `{lookback}`, `{next_end}` bound the hours that are looked at.
OFFSET_GAPS = """
with ranges as (
    select bucket_ingestion_datetime as hour, coalesce(stream_epoch, '') as stream_epoch, kafka_partition,
        first_offset, last_offset
    from stg_offset_ranges
    where topic = '{topic}' and first_offset is not null
        and bucket_ingestion_datetime >= {lookback} and bucket_ingestion_datetime < {next_end}
),
neighbours as (
    select
        *,
        max(last_offset) over earlier as previous_offset,
        max(hour) over earlier as previous_hour
    from ranges
    window earlier as (
        partition by stream_epoch, kafka_partition order by first_offset, last_offset
        rows between unbounded preceding and 1 preceding
    )
),
gaps as (
    select hour, stream_epoch, kafka_partition, previous_offset + 1 as first_missing, first_offset - 1 as last_missing,
        previous_hour
    from neighbours
    where first_offset > previous_offset + 1 and hour >= {start}
        and (hour < {end} or (previous_hour >= {start} and previous_hour < {end}))
),
explained as (
    select gaps.hour, gaps.stream_epoch, gaps.kafka_partition, gaps.first_missing,
        count(distinct dead.kafka_offset) as dead_letters
    from gaps
    inner join stg_quarantine as dead
        on dead.topic = '{topic}' and dead.dead_letter_offset is not null
        and coalesce(dead.stream_epoch, '') = gaps.stream_epoch and dead.kafka_partition = gaps.kafka_partition
        and dead.kafka_offset between gaps.first_missing and gaps.last_missing
    group by gaps.hour, gaps.stream_epoch, gaps.kafka_partition, gaps.first_missing
)
select
    gaps.hour,
    gaps.stream_epoch,
    gaps.kafka_partition,
    gaps.first_missing,
    gaps.last_missing,
    coalesce(explained.dead_letters, 0) as dead_letters,
    gaps.previous_hour
from gaps
left join explained
    on gaps.hour = explained.hour and gaps.stream_epoch = explained.stream_epoch
    and gaps.kafka_partition = explained.kafka_partition and gaps.first_missing = explained.first_missing
where gaps.last_missing - gaps.first_missing + 1 > coalesce(explained.dead_letters, 0)
order by gaps.hour, gaps.stream_epoch, gaps.kafka_partition, gaps.first_missing
"""

# What lake/fields.py tells of the first rows of objects, of how many objects it tells the same, and how many such rows
# the other objects of the topic's hour have, of which nothing departs. `{sample_lines}` are looked at of each.
DEPARTURES = """
with departing as (
    select bucket_ingestion_datetime as hour, topic, unknown_fields, count(*) as object_count
    from lake_objects
    where unknown_fields is not null
        and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime, topic, unknown_fields
),
others as (
    select bucket_ingestion_datetime as hour, topic,
        sum(case when row_count < {sample_lines} then row_count else {sample_lines} end) as row_count
    from lake_objects
    where unknown_fields is null
        and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime, topic
)
select departing.hour, departing.topic, departing.unknown_fields, departing.object_count,
    coalesce(others.row_count, 0) as other_rows
from departing
left join others on departing.hour = others.hour and departing.topic = others.topic
order by departing.hour, departing.topic, departing.unknown_fields
"""

# Hours with rows in quarantine: topic, reason, rows, how many of them were not repaired, and all rows of that topic and
# hour. What a replay put into the hour repairs as many rows that came otherwise, of all reasons alike.
QUARANTINE = """
with quarantined as (
    select bucket_ingestion_datetime as hour, topic, reason, count(*) as row_count,
        count(case when stream_epoch like 'replay-%' then 1 end) as replayed
    from stg_quarantine
    where bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime, topic, reason
),
totals as (
    select bucket_ingestion_datetime as hour, topic, sum(row_count) as row_count,
        sum(case when object_name like '%.replay-%' then row_count else 0 end) as replayed
    from lake_objects
    where bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
    group by bucket_ingestion_datetime, topic
),
repaired as (
    select quarantined.hour, quarantined.topic,
        case
            when sum(quarantined.row_count) > sum(quarantined.replayed)
                then (max(coalesce(totals.replayed, 0)) - sum(quarantined.replayed))
                / (sum(quarantined.row_count) - sum(quarantined.replayed))
            else 0
        end as share
    from quarantined
    left join totals on quarantined.hour = totals.hour and quarantined.topic = totals.topic
    group by quarantined.hour, quarantined.topic
)
select quarantined.hour, quarantined.topic, quarantined.reason, quarantined.row_count,
    quarantined.replayed + (quarantined.row_count - quarantined.replayed)
    * case when repaired.share > 1 then 0 when repaired.share < 0 then 1 else 1 - repaired.share end as unrepaired,
    coalesce(totals.row_count, quarantined.row_count) as total
from quarantined
inner join repaired on quarantined.hour = repaired.hour and quarantined.topic = repaired.topic
left join totals on quarantined.hour = totals.hour and quarantined.topic = totals.topic
order by quarantined.hour, quarantined.topic, quarantined.reason
"""

# Listeners by hour, and those of whose listens one carries another level than the user's history announces.
LEVELS = """
select
    listens.bucket_ingestion_datetime as hour,
    count(distinct listens.pk_user) as listeners,
    count(distinct case when users.level <> listens.level then listens.pk_user end) as disagreeing
from fact_listen_events as listens
inner join dim_users as users on listens.pk_user = users.pk_user
where listens.bucket_ingestion_datetime >= {start} and listens.bucket_ingestion_datetime < {end}
group by listens.bucket_ingestion_datetime
"""

# Fields whose rows of an hour are not what the contract says they usually are: too many lack it, a value is not among
# the known ones, or the mean of its numbers is out of bounds. `{limits}` are these bounds by topic and field.
UNUSUAL_FIELDS = """
with limits as (
    {limits}
)
select
    profile.bucket_ingestion_datetime as hour,
    profile.topic,
    profile.field,
    profile.row_count,
    profile.null_count,
    profile.null_count > limits.null_share * profile.row_count as is_often_absent,
    profile.unknown_count,
    profile.unknown_value,
    profile.mean,
    coalesce(profile.mean < limits.least_mean or profile.mean > limits.greatest_mean, false) as is_out_of_range
from stg_field_profile as profile
inner join limits on profile.topic = limits.topic and profile.field = limits.field
where profile.bucket_ingestion_datetime >= {start} and profile.bucket_ingestion_datetime < {end}
    and (
        profile.null_count > limits.null_share * profile.row_count
        or profile.unknown_count > 0
        or profile.mean < limits.least_mean
        or profile.mean > limits.greatest_mean
    )
order by profile.bucket_ingestion_datetime, profile.topic, profile.field
"""


# Fields in which the copies that an hour holds of an event, or of a user's record, differ; of how many events.
DIFFERING_COPIES = """
select bucket_ingestion_datetime as hour, topic, field, differing_events
from stg_field_profile
where differing_events > 0
    and bucket_ingestion_datetime >= {start} and bucket_ingestion_datetime < {end}
order by bucket_ingestion_datetime, topic, field
"""

# By hour, of how many of its events another hour of `{lookback}` to `{next_end}` holds a copy, and how many of these
# differ from it in each column: `{differences}`.
DIFFERING_HOURS = """
select copies.bucket_ingestion_datetime as hour, count(*) as row_count, {differences}
from {staging} as copies
inner join {staging} as others on copies.event_id = others.event_id
where copies.bucket_ingestion_datetime >= {start} and copies.bucket_ingestion_datetime < {end}
    and others.bucket_ingestion_datetime >= {lookback} and others.bucket_ingestion_datetime < {next_end}
    and copies.bucket_ingestion_datetime <> others.bucket_ingestion_datetime
group by copies.bucket_ingestion_datetime
order by copies.bucket_ingestion_datetime
"""

# What an hour's records say of users and the tables do not: a record other than the user's first, a level other than
# the one in force, a change that comes with or before the registration, one from a level that the user had left.
CONTRADICTING_USERS = """
with records as (
    select
        records.bucket_ingestion_datetime as hour,
        records.user_id,
        records.registration_datetime is distinct from users.registration_datetime as is_other_registration,
        records.first_name is distinct from users.first_name
        or records.last_name is distinct from users.last_name
        or records.gender is distinct from users.gender as is_other_person,
        records.level <> users.level as is_other_level
    from stg_users as records
    inner join dim_users as users
        on records.user_id = users.user_id
        and records.event_datetime < users.row_expiry_datetime
        and (users.is_first_row or records.event_datetime >= users.row_effective_datetime)
    where records.bucket_ingestion_datetime >= {start} and records.bucket_ingestion_datetime < {end}
),
first_records as (
    select user_id, level, registration_datetime
    from stg_users
    qualify row_number() over (
        partition by user_id order by event_datetime, event_id, bucket_ingestion_datetime
    ) = 1
),
changes as (
    select changes.user_id, changes.event_id, changes.event_datetime, changes.session_id, changes.item_in_session,
        changes.prev_level, min(changes.bucket_ingestion_datetime) as hour
    from stg_status_change_events as changes
    where changes.user_id in (
        select concerned.user_id
        from stg_status_change_events as concerned
        where concerned.bucket_ingestion_datetime >= {start} and concerned.bucket_ingestion_datetime < {end}
    )
    group by changes.user_id, changes.event_id, changes.event_datetime, changes.session_id,
        changes.item_in_session, changes.prev_level
),
judged as (
    select
        changes.hour,
        changes.user_id,
        changes.event_datetime <= first_records.registration_datetime as is_too_early,
        changes.prev_level,
        lag(changes.prev_level) over (
            partition by changes.user_id,
                coalesce(changes.event_datetime <= first_records.registration_datetime, false)
            order by changes.event_datetime, changes.session_id, changes.item_in_session, changes.event_id
        ) as level_left,
        first_records.level as registration_level
    from changes
    left join first_records on changes.user_id = first_records.user_id
),
told as (
    select hour, 'user_info' as topic, 'another registration than the first record says' as what, user_id
    from records where is_other_registration
    union all
    select hour, 'user_info', 'another name or gender than the first record says', user_id
    from records where is_other_person
    union all
    select hour, 'user_info', 'another level than the history says', user_id
    from records where is_other_level
    union all
    select hour, 'status_change_events', 'a change at or before registration', user_id
    from judged where is_too_early
    union all
    select hour, 'status_change_events', 'a change from a level that was left before', user_id
    from judged
    where not coalesce(is_too_early, false)
        and (level_left = prev_level or (level_left is null and registration_level <> prev_level))
)
select hour, topic, what, min(user_id) as one_user, count(*) as row_count
from told
where hour >= {start} and hour < {end}
group by hour, topic, what
order by hour, topic, what
"""

_OF_THE_COPY = {
    "bucket_ingestion_datetime",
    "event_id",
    "stream_epoch",
    "kafka_partition",
    "kafka_offset",
    "copies",
}


def compared_columns(staging: str) -> list[str]:
    """The columns of a staging table in which copies of an event may differ."""
    return [column for column in model_columns(f"staging/{staging}") if column not in _OF_THE_COPY]


def differences(columns: Iterable[str]) -> str:
    """The columns of `{differences}`, one for each."""
    return ", ".join(
        f"count(case when copies.{column} is distinct from others.{column} then 1 end) as {column}"
        for column in columns
    )


def limits_of_fields() -> str:
    """The rows of `{limits}`: what the contracts say of the fields that models read."""
    return " union all ".join(
        _limits(kind, field)
        for kind in WAREHOUSE_TYPES
        for field in kind.fields
        if field.usual or field.values
    )


def _limits(kind: EventType, field: EventField) -> str:
    usual = field.usual
    nulls = 1 if usual is None or usual.nulls is None else usual.nulls
    least, greatest = (usual and usual.mean) or (-_ANY, _ANY)
    return (
        f"select '{kind.topic}' as topic, '{field.name}' as field, {nulls:f} as null_share,"
        f" {least:f} as least_mean, {greatest:f} as greatest_mean"
    )
