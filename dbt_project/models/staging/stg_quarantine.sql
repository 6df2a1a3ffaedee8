{{ config(
    materialized='incremental',
    incremental_strategy=append_strategy(),
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    pre_hook='{{ replace_hours() }}'
) }}

-- Rows that no staging table can hold, with the reason and the bytes.
{% for topic, model in base_models() %}
select
    '{{ topic }}' as topic,
    bucket_ingestion_datetime,
    life,
    kafka_partition,
    kafka_offset,
    object_name,
    reason,
    raw_text
from {{ ref(model) }}
where disposition = 'quarantined'
{% if not loop.last %}union all{% endif %}
{% endfor %}
