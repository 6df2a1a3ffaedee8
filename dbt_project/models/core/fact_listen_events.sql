{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ replaced_events('stg_listen_events') }}",
    partition_by=partitions('event_datetime', 'timestamp', 'day'),
    cluster_by=['user_id'],
    post_hook=["{{ queue_rekeyed('event_datetime') }}", "{{ rekey_users('event_datetime') }}"]
) }}

-- One row a listen. The songs and places that listens name are few, so each is keyed once.
with listens as (
    {{ events_once('stg_listen_events') }}
),

songs as (
    select
        artist,
        song,
        duration,
        {{ song_key('artist', 'song', 'duration') }} as pk_song
    from (select distinct artist, song, duration from listens) as named
),

places as (
    select
        postal_code,
        city,
        state,
        {{ location_key("'US'", 'postal_code', 'city', 'state') }} as pk_location
    from (select distinct postal_code, city, state from listens) as named
)

select
    listens.event_datetime,
    users.pk_user,
    places.pk_location,
    songs.pk_song,
    listens.event_id,
    listens.user_id,
    listens.session_id,
    listens.level,
    listens.bucket_ingestion_datetime
from listens
inner join songs
    on listens.artist = songs.artist and listens.song = songs.song and listens.duration = songs.duration
inner join places
    on coalesce(listens.postal_code, '') = coalesce(places.postal_code, '')
    and listens.city = places.city
    and listens.state = places.state
inner join {{ ref('dim_users') }} as users
    on listens.user_id = users.user_id and {{ in_force('users', 'listens.event_datetime') }}
{{ unless_known_earlier('listens', 'stg_listen_events') }}
