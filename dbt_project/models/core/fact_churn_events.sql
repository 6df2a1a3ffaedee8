{% set leaving = "'Cancel', 'Submit Downgrade'" %}
{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ replaced_sessions() }}",
    partition_by=partitions('session_start_datetime', 'timestamp', 'day'),
    cluster_by=['user_id']
) }}

-- One row a page view by which a user cancels or downgrades. The reason page is the last one before it in the session
-- that is no step of leaving itself.
with leavers as (
    select distinct
        user_id,
        session_id
    from {{ ref('int_touched_page_views') }}
    where page in ({{ leaving }})
),

{{ numbered_page_views('inner join leavers using (user_id, session_id)') }},

looked_back as (
    select
        *,
        min(event_datetime) over (partition by user_id, session_id, session_number) as session_start_datetime,
        last_value(
            case when page not in ('Settings', 'Downgrade', {{ leaving }}) then page end ignore nulls
        ) over (
            partition by user_id, session_id, session_number
            order by event_datetime, item_in_session, event_id
            rows between unbounded preceding and 1 preceding
        ) as reason_page
    from numbered
)

select
    session_start_datetime,
    event_datetime,
    event_id,
    user_id,
    session_id,
    {{ location_key("'US'", 'postal_code', 'city', 'state') }} as pk_location,
    level,
    case when page = 'Cancel' then 'cancelled' else 'downgraded' end as departure,
    coalesce(reason_page, 'NO PAGE') as reason_page,
    bucket_ingestion_datetime
from looked_back
where page in ({{ leaving }})
