{{ config(materialized='table') }}

-- The reference catalogue, keyed as events are; songs that clean to the same key are one.
with cleaned as (
    select
        artist,
        {{ clean_title('title') }} as title,
        {{ clean_duration('duration') }} as duration,
        genre,
        is_retired,
        track_id
    from {{ source('external', 'songs_ext') }}
)

select
    {{ song_key('artist', 'title', 'duration') }} as pk_song,
    artist,
    title,
    duration,
    genre
from cleaned
qualify
    row_number() over (
        partition by pk_song
        order by is_retired, case when genre is null then 1 else 0 end, genre, artist, track_id
    ) = 1
