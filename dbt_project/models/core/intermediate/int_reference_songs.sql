-- The reference catalogue, keyed as events are; songs whose names fold to the same key are one.
with keyed as (
    select
        {{ song_key('artist', 'title', clean_duration('duration')) }} as pk_song,
        artist,
        title,
        {{ clean_duration('duration') }} as duration,
        genre,
        is_retired,
        track_id
    from {{ source('external', 'songs_ext') }}
)

select
    pk_song,
    artist,
    title,
    duration,
    genre
from keyed
qualify
    row_number() over (
        partition by pk_song
        order by is_retired, case when genre is null then 1 else 0 end, genre, artist, title, track_id
    ) = 1
