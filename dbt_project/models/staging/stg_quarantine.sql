{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days')
) }}

-- Rows that no staging table can hold, and records that the sink could not write, with the reason and the bytes.
{% for topic in var('event_types') %}
select
    '{{ topic }}' as topic,
    bucket_ingestion_datetime,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    cast(null as {{ dbt.type_bigint() }}) as dead_letter_offset,
    object_name,
    reason,
    raw_text
from {{ ref('base_' ~ topic) }}
where disposition = 'quarantined'
union all
{% endfor %}
select
    coalesce(topic, '{{ dead_letter_topic() }}') as topic,
    bucket_ingestion_datetime,
    stream_epoch,
    kafka_partition,
    kafka_offset,
    coalesce(dead_letter_offset, -1) as dead_letter_offset,
    object_name,
    reason,
    raw_text
from {{ ref('base_dead_letters') }}
