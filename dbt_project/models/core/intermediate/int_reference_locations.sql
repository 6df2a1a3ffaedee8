-- The reference list of postal codes, keyed as events are.
with cleaned as (
    select
        country_code,
        postal_code as raw_postal_code,
        {{ standardise_postal_code('postal_code', 'country_code') }} as postal_code,
        {{ city_or_none('city') }} as city,
        {{ state_name_or_none('state') }} as state,
        {{ state_code_or_none('state_code') }} as state_code,
        is_retired
    from {{ source('external', 'locations_ext') }}
)

select
    {{ location_key('country_code', 'postal_code', 'city', 'state_code') }} as pk_location,
    country_code,
    postal_code,
    raw_postal_code,
    city,
    state,
    state_code
from cleaned
qualify
    row_number() over (
        partition by pk_location order by is_retired, state, city, raw_postal_code nulls last
    ) = 1
