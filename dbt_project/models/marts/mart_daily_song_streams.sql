{{ config(materialized='view') }}

select
    streams.event_date,
    streams.state_code,
    streams.pk_song,
    songs.title,
    songs.artist,
    streams.streams
from {{ ref('mart_daily_streams') }} as streams
inner join {{ ref('dim_songs') }} as songs on streams.pk_song = songs.pk_song
