{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days')
) }}

-- The contiguous runs of Kafka offsets that an hour's objects hold. Offsets compare within one stream epoch of a topic.
with rows_read as (
    {% for topic in var('event_types') %}
    select
        '{{ topic }}' as topic,
        bucket_ingestion_datetime,
        stream_epoch,
        kafka_partition,
        kafka_offset
    from {{ ref('base_' ~ topic) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

counted as (
    select
        topic,
        bucket_ingestion_datetime,
        stream_epoch,
        kafka_partition,
        kafka_offset,
        count(*) as row_count
    from rows_read
    group by topic, bucket_ingestion_datetime, stream_epoch, kafka_partition, kafka_offset
),

numbered as (
    select
        *,
        kafka_offset - row_number() over (
            partition by topic, bucket_ingestion_datetime, stream_epoch, kafka_partition
            order by kafka_offset
        ) as run_number
    from counted
)

select
    topic,
    bucket_ingestion_datetime,
    stream_epoch,
    kafka_partition,
    min(kafka_offset) as first_offset,
    max(kafka_offset) as last_offset,
    cast(sum(row_count) as {{ dbt.type_bigint() }}) as row_count
from numbered
group by topic, bucket_ingestion_datetime, stream_epoch, kafka_partition, run_number
