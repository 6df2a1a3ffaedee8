{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days'),
    cluster_by=['user_id']
) }}

with events as (
    {{ folded_rows('listen_events', ref('base_listen_events')) }}
)

select
    {{ to_timestamp_ms('ts') }} as event_datetime,
    bucket_ingestion_datetime,
    user_id,
    {{ standardise_postal_code('zip', "'US'") }} as postal_code,
    {{ city_or_none('city') }} as city,
    {{ state_code_or_none('state') }} as state,
    lower(level) as level,
    song,
    artist,
    {{ clean_duration('duration') }} as duration,
    session_id,
    item_in_session,
    event_id,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    copies
from events
