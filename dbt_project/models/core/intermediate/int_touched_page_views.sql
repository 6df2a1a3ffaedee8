-- depends_on: {{ ref('int_window') }}
{% set touched = ref('int_touched_sessions') %}
{% set bounds = bounds_of('select min(scope_start_datetime) as lowest, max(scope_end_datetime) as highest from ' ~ touched) %}

-- The page views of the touched sessions; of copies in several ingestion hours the earliest hour's.
with touched_views as (
    select
        views.event_datetime,
        views.bucket_ingestion_datetime,
        views.user_id,
        views.session_id,
        views.item_in_session,
        views.event_id,
        views.page,
        views.level,
        views.city,
        views.state,
        views.postal_code,
        views.ad_revenue
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
)

select views.*
from touched_views as views
left join (
    select
        event_id,
        min(bucket_ingestion_datetime) as first_datetime
    from touched_views
    group by event_id
    having count(*) > 1
) as repeated on views.event_id = repeated.event_id
where repeated.event_id is null or views.bucket_ingestion_datetime = repeated.first_datetime
