{{ config(materialized='table') }}
{{ parsed_events('status_change_events') }}
