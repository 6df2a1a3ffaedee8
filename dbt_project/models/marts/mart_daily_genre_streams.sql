{{ config(materialized='view') }}

-- A view, since a song's genre may come or change with the reference long after it was played.
select
    daily.event_date,
    daily.state_code,
    coalesce(songs.genre, 'Unknown') as genre,
    cast(sum(daily.streams) as {{ dbt.type_bigint() }}) as streams
from {{ ref('mart_daily_streams') }} as daily
inner join {{ ref('dim_songs') }} as songs on daily.pk_song = songs.pk_song
group by daily.event_date, daily.state_code, coalesce(songs.genre, 'Unknown')
