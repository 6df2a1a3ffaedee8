-- The songs that the run's listens name, copies among them, so that no order of arrival changes what is known. Of several
-- spellings of one name the least stands for it.
with played as (
    select distinct
        artist,
        song,
        {{ clean_duration('duration') }} as duration
    from {{ ref('base_listen_events') }}
    where disposition = 'staged'
),

keyed as (
    select
        *,
        {{ song_key('artist', 'song', 'duration') }} as pk_song
    from played
)

select
    pk_song,
    min(artist) as artist,
    min(song) as title,
    min(duration) as duration
from keyed
group by pk_song
