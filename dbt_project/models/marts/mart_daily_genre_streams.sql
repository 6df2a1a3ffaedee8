{{ config(materialized='view') }}

-- A view, since a song's genre may come or change with the reference long after it was played.
select
    streams.event_date,
    streams.state_code,
    coalesce(songs.genre, 'Unknown') as genre,
    cast(sum(streams.streams) as {{ dbt.type_bigint() }}) as streams
from {{ ref('mart_daily_streams') }} as streams
inner join {{ ref('dim_songs') }} as songs on streams.pk_song = songs.pk_song
group by streams.event_date, streams.state_code, coalesce(songs.genre, 'Unknown')
