{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days'),
    cluster_by=['event_datetime']
) }}

with events as (
    {{ folded_rows('page_view_events', ref('base_page_view_events')) }}
)

select
    {{ to_timestamp_ms('ts') }} as event_datetime,
    bucket_ingestion_datetime,
    user_id,
    {{ standardise_postal_code('zip', "'US'") }} as postal_code,
    {{ city_or_none('city') }} as city,
    {{ state_code_or_none('state') }} as state,
    lower(level) as level,
    session_id,
    item_in_session,
    page,
    trim(user_agent, '"') as user_agent,
    cast(ad_revenue as {{ decimal_type() }}) as ad_revenue,
    event_id,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    copies
from events
