{{ config(materialized='table') }}

-- The reference catalogue, keyed as events are; titles that clean to the same text are one song.
with cleaned as (
    select
        artist,
        {{ clean_title('title') }} as title,
        {{ clean_duration('duration') }} as duration,
        genre,
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
qualify row_number() over (partition by pk_song order by case when genre is null then 1 else 0 end, genre, track_id) = 1
