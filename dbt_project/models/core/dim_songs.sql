{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ outdated_members('int_reference_songs', 'int_named_songs', 'pk_song', ['artist', 'title', 'genre'], ['artist', 'title']) }}",
    cluster_by=['pk_song']
) }}

-- The reference's songs, and an inferred member for each song that an event names and the reference lacks.
with members as (
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
        named.pk_song,
        {{ least_spelling('artist') }} as artist,
        {{ least_spelling('title') }} as title,
        named.duration,
        cast(null as {{ dbt.type_string() }}) as genre,
        true as is_inferred
    from {{ ref('int_named_songs') }} as named
    {{ join_known('pk_song') }}
    where named.pk_song not in (select pk_song from {{ ref('int_reference_songs') }})
)

select * from {{ missing_members('members', 'pk_song') }}
