{{ config(materialized='table') }}
{% set touched = ref('int_touched_sessions') %}
{% set bounds = bounds_of('select min(scope_start_datetime) as lowest, max(scope_end_datetime) as highest from ' ~ touched) %}

-- The page views of the touched sessions; of copies in several ingestion hours the earliest hour's.
select views.*
from {{ ref('stg_page_view_events') }} as views
inner join {{ touched }} as touched
    on views.user_id = touched.user_id
    and views.session_id = touched.session_id
    and views.event_datetime between touched.scope_start_datetime and touched.scope_end_datetime
{% if bounds %}
where views.event_datetime >= {{ timestamp_literal(bounds[0]) }}
    and views.event_datetime < {{ add_hours(timestamp_literal(bounds[1]), 1) }}
{% else %}
where 1 = 0
{% endif %}
qualify row_number() over (partition by views.event_id order by views.bucket_ingestion_datetime) = 1
