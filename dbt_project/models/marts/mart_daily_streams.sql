{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ replaced_days() }}",
    partition_by=partitions('event_date', 'date', 'day'),
    cluster_by=['state_code']
) }}

-- Streams by day, state and song; state_code 'ALL' is the roll-up over all states. What songs are called is for the views on it.
with counted as (
    select
        cast(listens.event_datetime as date) as event_date,
        locations.state_code,
        listens.pk_song,
        count(*) as streams
    from {{ ref('fact_listen_events') }} as listens
    inner join {{ ref('dim_locations') }} as locations on listens.pk_location = locations.pk_location
    {% if is_incremental() %}where {{ in_days('listens.event_datetime', listen_days()) }}{% endif %}
    group by cast(listens.event_datetime as date), locations.state_code, listens.pk_song
)

select
    event_date,
    state_code,
    pk_song,
    streams
from counted
union all
select
    event_date,
    'ALL' as state_code,
    pk_song,
    cast(sum(streams) as {{ dbt.type_bigint() }}) as streams
from counted
group by event_date, pk_song
