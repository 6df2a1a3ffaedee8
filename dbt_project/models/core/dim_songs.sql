{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ outdated_members('int_reference_songs', 'pk_song', ['artist', 'genre']) }}",
    cluster_by=['pk_song']
) }}

-- The reference's songs, and an inferred member for each song that an event names and the reference lacks.
with played as (
    select distinct
        {{ song_key('artist', 'song', 'duration') }} as pk_song,
        {{ clean_artist('artist') }} as artist,
        song as title,
        duration
    from {{ ref('stg_listen_events') }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
),

members as (
    select
        pk_song,
        artist,
        title,
        duration,
        genre,
        false as is_inferred
    from {{ ref('int_reference_songs') }}
    union all
    select
        pk_song,
        artist,
        title,
        duration,
        cast(null as {{ dbt.type_string() }}) as genre,
        true as is_inferred
    from played
    where pk_song not in (select pk_song from {{ ref('int_reference_songs') }})
)

select * from {{ missing_members('members', 'pk_song') }}
