{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ replaced_days() }}",
    partition_by=partitions('week_start', 'date', 'day')
) }}

-- Distinct users that started a session in an ISO week; paid are those with a session on level paid.
select
    {{ week_of('session_start_datetime') }} as week_start,
    count(distinct user_id) as users,
    count(distinct case when level = 'paid' then user_id end) as paid_users,
    count(distinct user_id) - count(distinct case when level = 'paid' then user_id end) as free_users,
    cast(sum(num_ads_served) as {{ dbt.type_bigint() }}) as ads_served,
    cast(sum(coalesce(total_ad_revenue, 0)) as {{ decimal_type() }}) as ad_revenue
from {{ ref('fact_session_events') }}
{% if is_incremental() %}where {{ in_days('session_start_datetime', session_weeks()) }}{% endif %}
group by {{ week_of('session_start_datetime') }}
