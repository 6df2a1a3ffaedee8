{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ replaced_sessions() }}",
    partition_by=partitions('session_start_datetime', 'timestamp', 'day'),
    cluster_by=['session_end_datetime', 'user_id'],
    post_hook=["{{ queue_rekeyed('session_start_datetime') }}", "{{ rekey_users('session_start_datetime') }}"]
) }}

-- One row a session: the page views of one (user, session id) with no more than a day between two of them.
with {{ numbered_page_views() }},

sessions as (
    select
        user_id,
        session_id,
        min(event_datetime) as session_start_datetime,
        max(event_datetime) as session_end_datetime,
        {{ first_by('page', 'event_datetime, item_in_session, event_id') }} as entry_page,
        {{ first_by('level', 'event_datetime, item_in_session, event_id') }} as level,
        {{ first_by('city', 'event_datetime, item_in_session, event_id') }} as city,
        {{ first_by('state', 'event_datetime, item_in_session, event_id') }} as state,
        {{ first_by("coalesce(postal_code, '')", 'event_datetime, item_in_session, event_id') }} as postal_code,
        count(*) as num_pages_visited,
        sum(case when page = 'PlayAd' then 1 else 0 end) as num_ads_served,
        -- Nothing on level paid; on level free an absent ad is no revenue.
        sum(case when level = 'free' then coalesce(ad_revenue, 0) end) as total_ad_revenue,
        max(bucket_ingestion_datetime) as last_ingestion_datetime
    from numbered
    group by user_id, session_id, session_number
)

select
    sessions.session_start_datetime,
    sessions.session_id,
    users.pk_user,
    {{ location_key("'US'", "nullif(sessions.postal_code, '')", 'sessions.city', 'sessions.state') }} as pk_location,
    {{ page_key('sessions.entry_page') }} as pk_entry_page,
    {{ seconds_between('sessions.session_start_datetime', 'sessions.session_end_datetime') }} as session_seconds,
    sessions.num_pages_visited,
    cast(sessions.num_ads_served as {{ dbt.type_bigint() }}) as num_ads_served,
    cast(sessions.total_ad_revenue as {{ decimal_type() }}) as total_ad_revenue,
    sessions.session_end_datetime,
    sessions.user_id,
    sessions.level,
    sessions.last_ingestion_datetime
from sessions
inner join {{ ref('dim_users') }} as users
    on sessions.user_id = users.user_id and {{ in_force('users', 'sessions.session_start_datetime') }}
