{{ config(materialized='table') }}
{{ parsed_events('page_view_events') }}
