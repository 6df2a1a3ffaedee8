{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ outdated_members('int_reference_locations', 'pk_location', ['state']) }}",
    cluster_by=['pk_location']
) }}

-- The reference's postal codes, and an inferred member for each place that an event names and the reference lacks.
with places as (
    select postal_code, city, state as state_code
    from {{ ref('stg_listen_events') }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
    union distinct
    select postal_code, city, state as state_code
    from {{ ref('stg_page_view_events') }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
),

named as (
    select
        {{ location_key("'US'", 'places.postal_code', 'places.city', 'places.state_code') }} as pk_location,
        places.postal_code,
        places.city,
        coalesce(states.state, places.state_code) as state,
        places.state_code
    from places
    left join ({{ us_state_rows() }}) as states on places.state_code = states.state_code
),

members as (
    select
        pk_location,
        country_code,
        postal_code,
        city,
        state,
        state_code,
        false as is_inferred
    from {{ ref('int_reference_locations') }}
    union all
    select
        pk_location,
        'US' as country_code,
        postal_code,
        city,
        state,
        state_code,
        true as is_inferred
    from named
    where pk_location not in (select pk_location from {{ ref('int_reference_locations') }})
)

select
    pk_location,
    country_code,
    {{ standardise_postal_code('postal_code', 'country_code') }} as standardised_postal_code,
    postal_code as raw_postal_code,
    city,
    state,
    state_code,
    is_inferred
from {{ missing_members('members', 'pk_location') }}
