{{ config(materialized='view') }}

select
    streams.event_date,
    streams.state_code,
    coalesce(max(states.state), streams.state_code) as state,
    cast(sum(streams.streams) as {{ dbt.type_bigint() }}) as streams
from {{ ref('mart_daily_streams') }} as streams
left join ({{ us_state_rows() }}) as states on streams.state_code = states.state_code
where streams.state_code <> 'ALL'
group by streams.event_date, streams.state_code
