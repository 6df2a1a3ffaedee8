{{ config(
    materialized='incremental',
    incremental_strategy=replacing('rows'),
    replaces="{{ outdated_members('int_reference_locations', 'int_named_locations', 'pk_location', ['raw_postal_code', 'city', 'state'], ['raw_postal_code', 'city']) }}",
    cluster_by=['pk_location']
) }}

-- The reference's postal codes, and an inferred member for each place that an event names and the reference lacks.
with members as (
    select
        pk_location,
        country_code,
        postal_code as standardised_postal_code,
        raw_postal_code,
        city,
        state,
        state_code,
        false as is_inferred
    from {{ ref('int_reference_locations') }}
    union all
    select
        named.pk_location,
        'US' as country_code,
        named.postal_code as standardised_postal_code,
        {{ least_spelling('raw_postal_code') }} as raw_postal_code,
        {{ least_spelling('city') }} as city,
        coalesce(states.state, named.state_code) as state,
        named.state_code,
        true as is_inferred
    from {{ ref('int_named_locations') }} as named
    {{ join_known('pk_location') }}
    left join ({{ us_state_rows() }}) as states on named.state_code = states.state_code
    where named.pk_location not in (select pk_location from {{ ref('int_reference_locations') }})
)

select * from {{ missing_members('members', 'pk_location') }}
