{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ replaced_days() }}",
    partition_by=partitions('event_date', 'date', 'day')
) }}

-- Advertisements and what they earned, by day of the session's start.
select
    cast(session_start_datetime as date) as event_date,
    cast(sum(num_ads_served) as {{ dbt.type_bigint() }}) as ads_served,
    cast(sum(coalesce(total_ad_revenue, 0)) as {{ decimal_type() }}) as ad_revenue
from {{ ref('fact_session_events') }}
{% if is_incremental() %}where {{ in_days('session_start_datetime', session_days()) }}{% endif %}
group by cast(session_start_datetime as date)
