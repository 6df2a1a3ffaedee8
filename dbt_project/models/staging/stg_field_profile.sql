{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days')
) }}

-- What each hour's rows say in each field, so that a check sees what fell silent or changed. Of a user's records in an
-- hour one is staged, whatever their times: these are the copies of user_info.
{% for topic in var('event_types') %}
{{ field_profile(topic, ref('base_' ~ topic), ['user_id'] if topic == 'user_info' else none) }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
