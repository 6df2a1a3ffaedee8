{{ config(materialized='table') }}
-- reads {{ source('external', 'dead_letters_ext') }}
{{ dead_letters() }}
