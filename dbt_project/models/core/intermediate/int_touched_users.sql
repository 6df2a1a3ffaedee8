-- depends_on: {{ ref('int_window') }}
{% set dim_users = state_of('dim_users') %}
{% set concerned = in_window('bucket_ingestion_datetime') if dim_users else '1 = 1' %}

-- The users whose dimension rows the window's hours may change, and the stretch of event time in which their
-- events may be keyed otherwise because of it. Depends on staging alone (and on how early each user was ever seen),
-- so that a run repeated after a crash finds the same users again.
with active as (
    select
        user_id,
        min(event_datetime) as first_event_datetime
    from (
        select user_id, event_datetime from {{ ref('stg_listen_events') }} where {{ concerned }}
        union all
        select user_id, event_datetime from {{ ref('stg_page_view_events') }} where {{ concerned }}
    ) as events
    group by user_id
),

changed as (
    select
        user_id,
        min(event_datetime) as first_change_datetime,
        max(event_datetime) as last_change_datetime
    from {{ ref('stg_status_change_events') }}
    where {{ concerned }}
    group by user_id
),

next_changes as (
    select
        changes.user_id,
        min(changes.event_datetime) as next_change_datetime
    from {{ ref('stg_status_change_events') }} as changes
    inner join changed
        on changes.user_id = changed.user_id and changes.event_datetime > changed.last_change_datetime
    group by changes.user_id
),

registered as (
    select distinct user_id from {{ ref('stg_users') }} where {{ concerned }}
),

-- All records that the window's hours hold, for what these hours may have held before they grew.
records as (
    select
        user_id,
        min(registration) as lowest_registration,
        max(registration) as highest_registration
    from {{ ref('base_user_info') }}
    where disposition = 'staged'
    group by user_id
),

known as (
{% if dim_users %}
    select user_id, min(first_seen_datetime) as first_seen_datetime from {{ dim_users }} group by user_id
{% else %}
    select user_id, first_event_datetime as first_seen_datetime from active where 1 = 0
{% endif %}
),

touched as (
    select user_id from changed
    union distinct
    select user_id from registered
    union distinct
    select active.user_id
    from active
    left join known on active.user_id = known.user_id
    where known.first_seen_datetime is null or active.first_event_datetime < known.first_seen_datetime
),

-- A user's records move the key of the first row unless a record of another hour already gave the same registration,
-- and so did every record of the window's hours.
first_registrations as (
    select
        stg_users.user_id,
        {{ first_by('stg_users.registration_datetime', first_record('stg_users')) }}
            as registration_datetime,
        {{ first_by('stg_users.registration_datetime', first_record('stg_users'), 'not (' ~ concerned ~ ')') }}
            as registration_elsewhere
    from {{ ref('stg_users') }} as stg_users
    inner join registered on stg_users.user_id = registered.user_id
    group by stg_users.user_id
),

gathered as (
    select
        touched.user_id,
        {{ least_of('active.first_event_datetime', 'known.first_seen_datetime') }} as first_seen_datetime,
        changed.first_change_datetime,
        next_changes.next_change_datetime,
        first_registrations.user_id is not null
        and (
            first_registrations.registration_elsewhere is null
            or first_registrations.registration_elsewhere <> first_registrations.registration_datetime
            or records.lowest_registration <> records.highest_registration
        ) as is_first_row_moved
    from touched
    left join active on touched.user_id = active.user_id
    left join known on touched.user_id = known.user_id
    left join changed on touched.user_id = changed.user_id
    left join next_changes on touched.user_id = next_changes.user_id
    left join first_registrations on touched.user_id = first_registrations.user_id
    left join records on touched.user_id = records.user_id
)

select
    user_id,
    first_seen_datetime,
    case when is_first_row_moved then first_seen_datetime else first_change_datetime end as rekey_from_datetime,
    case
        when is_first_row_moved then {{ timestamp_literal('9999-01-01 00:00:00') }}
        when first_change_datetime is not null
            then coalesce(next_change_datetime, {{ timestamp_literal('9999-01-01 00:00:00') }})
    end as rekey_to_datetime
from gathered
