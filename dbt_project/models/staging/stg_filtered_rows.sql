{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days')
) }}

-- What the filters that contracts declare leave out, so that an hour's rows still add up.
{% set filters = [] %}
{% for topic in var('event_types') %}
{% set filter = filter_of(topic) %}
{% set base = ref('base_' ~ topic) %}
{% if filter %}{% do filters.append(dict(filter, topic=topic, base=base)) %}{% endif %}
{% endfor %}
{% for filter in filters %}
select
    '{{ filter.topic }}' as topic,
    bucket_ingestion_datetime,
    '{{ filter.field }}' as field,
    {{ filter.column }} as value,
    count(*) as row_count
from {{ filter.base }}
where disposition = 'filtered'
group by bucket_ingestion_datetime, {{ filter.column }}
{{ 'union all' if not loop.last }}
{% else %}
select
    cast(null as {{ dbt.type_string() }}) as topic,
    cast(null as timestamp) as bucket_ingestion_datetime,
    cast(null as {{ dbt.type_string() }}) as field,
    cast(null as {{ dbt.type_string() }}) as value,
    cast(null as {{ dbt.type_bigint() }}) as row_count
limit 0
{% endfor %}
