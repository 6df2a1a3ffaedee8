{{ config(materialized='table') }}
{{ parsed_events('listen_events') }}
