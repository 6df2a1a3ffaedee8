{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ replaced_days() }}",
    partition_by=partitions('event_date', 'date', 'day')
) }}

-- Distinct users that started a session, by day and the event's own level; 'all' counts each user once.
with sessions as (
    select
        cast(session_start_datetime as date) as event_date,
        level,
        user_id
    from {{ ref('fact_session_events') }}
    {% if is_incremental() %}where {{ in_days('session_start_datetime', session_days()) }}{% endif %}
)

select
    event_date,
    level,
    count(distinct user_id) as active_users
from sessions
group by event_date, level
union all
select
    event_date,
    'all' as level,
    count(distinct user_id) as active_users
from sessions
group by event_date
