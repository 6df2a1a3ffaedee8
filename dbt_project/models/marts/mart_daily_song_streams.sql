{{ config(materialized='view') }}

select
    daily.event_date,
    daily.state_code,
    daily.pk_song,
    songs.title,
    songs.artist,
    daily.streams
from {{ ref('mart_daily_streams') }} as daily
inner join {{ ref('dim_songs') }} as songs on daily.pk_song = songs.pk_song
