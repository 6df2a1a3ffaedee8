{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'day'),
    cluster_by=['user_id']
) }}

-- One row a user and ingestion hour, the first in it: the source repeats a user's record.
with events as (
    {{ folded_rows('user_info', ref('base_user_info'), ['user_id'], 'ts, ') }}
)

select
    {{ to_timestamp_ms('ts') }} as event_datetime,
    bucket_ingestion_datetime,
    user_id,
    first_name,
    last_name,
    gender,
    lower(level) as level,
    {{ to_timestamp_ms('registration') }} as registration_datetime,
    event_id,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    copies
from events
