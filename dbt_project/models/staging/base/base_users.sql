{{ config(materialized='table') }}
{{ parsed_events('user_info') }}
