-- The places that the run's events name, copies among them. Of several spellings of one place the least stands for it.
with named as (
    select city, zip, state from {{ ref('base_listen_events') }} where disposition = 'staged'
    union distinct
    select city, zip, state from {{ ref('base_page_view_events') }} where disposition = 'staged'
),

cleaned as (
    select
        zip as raw_postal_code,
        {{ standardise_postal_code('zip', "'US'") }} as postal_code,
        {{ city_or_none('city') }} as city,
        {{ state_code_or_none('state') }} as state_code
    from named
),

keyed as (
    select
        *,
        {{ location_key("'US'", 'postal_code', 'city', 'state_code') }} as pk_location
    from cleaned
)

select
    pk_location,
    min(postal_code) as postal_code,
    min(raw_postal_code) as raw_postal_code,
    min(city) as city,
    min(state_code) as state_code
from keyed
group by pk_location
