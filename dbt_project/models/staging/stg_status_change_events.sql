{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'day'),
    cluster_by=['user_id']
) }}

with events as (
    {{ folded_rows('status_change_events', ref('base_status_change_events')) }}
)

select
    {{ to_timestamp_ms('ts') }} as event_datetime,
    bucket_ingestion_datetime,
    user_id,
    lower(level) as prev_level,
    session_id,
    item_in_session,
    event_id,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    copies
from events
