{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ replaced_events('stg_listen_events') }}",
    partition_by=partitions('event_datetime', 'timestamp', 'day'),
    cluster_by=['user_id'],
    post_hook="{{ rekey_users('event_datetime') }}"
) }}

-- One row a listen. Of copies in several ingestion hours the earliest hour's counts, in whatever order hours come.
with listens as (
    select *
    from {{ ref('stg_listen_events') }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
    qualify row_number() over (partition by event_id order by bucket_ingestion_datetime) = 1
)

select
    listens.event_datetime,
    users.pk_user,
    {{ location_key("'US'", 'listens.postal_code', 'listens.city', 'listens.state') }} as pk_location,
    {{ song_key('listens.artist', 'listens.song', 'listens.duration') }} as pk_song,
    listens.event_id,
    listens.user_id,
    listens.session_id,
    listens.level,
    listens.bucket_ingestion_datetime
from listens
inner join {{ ref('dim_users') }} as users
    on listens.user_id = users.user_id and {{ in_force('users', 'listens.event_datetime') }}
{% if is_incremental() %}
where not exists (
    select 1
    from {{ this }} as earlier
    where earlier.event_id = listens.event_id
        and earlier.bucket_ingestion_datetime < {{ window_start() }}
        and {{ in_days('earlier.event_datetime', listen_days()) }}
)
{% endif %}
