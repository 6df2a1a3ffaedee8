{{ config(materialized='view') }}

select
    daily.event_date,
    daily.state_code,
    coalesce(max(states.state), daily.state_code) as state,
    cast(sum(daily.streams) as {{ dbt.type_bigint() }}) as streams
from {{ ref('mart_daily_streams') }} as daily
left join ({{ us_state_rows() }}) as states on daily.state_code = states.state_code
where daily.state_code <> 'ALL'
group by daily.event_date, daily.state_code
