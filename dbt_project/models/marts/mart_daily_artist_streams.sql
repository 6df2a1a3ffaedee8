{{ config(materialized='view') }}

select
    event_date,
    state_code,
    artist,
    cast(sum(streams) as {{ dbt.type_bigint() }}) as streams
from {{ ref('mart_daily_song_streams') }}
group by event_date, state_code, artist
