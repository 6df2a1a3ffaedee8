{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="user_id in (select user_id from {{ ref('int_touched_users') }})",
    cluster_by=['user_id']
) }}

-- Slowly changing dimension, type 2: a row for each level of a user, [row_effective_datetime, row_expiry_datetime).
-- The first row starts at registration and also covers what came before it. A user who was never registered has
-- inferred rows that start at the epoch. Only touched users are computed.
with touched as (
    select user_id, first_seen_datetime from {{ ref('int_touched_users') }}
),

registrations as (
    select stg_users.*
    from {{ ref('stg_users') }} as stg_users
    inner join touched on stg_users.user_id = touched.user_id
    qualify row_number() over (
        partition by stg_users.user_id order by {{ first_record('stg_users') }}
    ) = 1
),

users as (
    select
        touched.user_id,
        touched.first_seen_datetime,
        registrations.first_name,
        registrations.last_name,
        registrations.gender,
        registrations.registration_datetime,
        registrations.level as registration_level,
        coalesce(registrations.registration_datetime, {{ timestamp_literal('1970-01-01 00:00:00') }})
            as first_effective_datetime
    from touched
    left join registrations on touched.user_id = registrations.user_id
),

-- Changes of one moment are one change, from the level before the first to the level after the last.
changes as (
    select
        changes.user_id,
        changes.event_datetime as effective_datetime,
        {{ first_by(
            'changes.prev_level',
            'changes.session_id, changes.item_in_session, changes.event_id, changes.bucket_ingestion_datetime'
        ) }} as level_before,
        {{ first_by(
            other_level('changes.prev_level'),
            'changes.session_id desc, changes.item_in_session desc, changes.event_id desc, changes.bucket_ingestion_datetime'
        ) }} as level_after
    from {{ ref('stg_status_change_events') }} as changes
    inner join users on changes.user_id = users.user_id
    where changes.event_datetime > users.first_effective_datetime
    group by changes.user_id, changes.event_datetime
),

starts as (
    select
        user_id,
        first_effective_datetime as effective_datetime,
        cast(null as {{ dbt.type_string() }}) as level_before,
        registration_level as level_after,
        true as is_first_row
    from users
    union all
    select
        user_id,
        effective_datetime,
        level_before,
        level_after,
        false as is_first_row
    from changes
),

intervals as (
    select
        user_id,
        effective_datetime,
        lead(effective_datetime) over (partition by user_id order by effective_datetime) as expiry_datetime,
        -- The change that ends a row says which level it ends.
        coalesce(lead(level_before) over (partition by user_id order by effective_datetime), level_after) as level,
        is_first_row
    from starts
)

select
    {{ user_key('intervals.user_id', 'intervals.effective_datetime') }} as pk_user,
    intervals.user_id,
    users.first_name,
    users.last_name,
    users.gender,
    users.registration_datetime,
    intervals.level,
    intervals.effective_datetime as row_effective_datetime,
    coalesce(intervals.expiry_datetime, {{ timestamp_literal('9999-01-01 00:00:00') }}) as row_expiry_datetime,
    intervals.is_first_row,
    users.registration_datetime is null as is_inferred,
    users.first_seen_datetime
from intervals
inner join users on intervals.user_id = users.user_id
