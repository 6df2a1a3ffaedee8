{% set sessions = state_of('fact_churn_events') and state_of('fact_session_events') %}
{% set concerned = in_window('bucket_ingestion_datetime') if sessions else '1 = 1' %}

-- The (user, session id) pairs that have page views in the window's hours, and the stretch of event time whose rows
-- must be read to tell their sessions anew: the new rows and the sessions that they may join or bridge. All sessions, as long
-- as one of the facts that are made of them is missing.
with touched as (
    select
        user_id,
        session_id,
        min(event_datetime) as first_event_datetime,
        max(event_datetime) as last_event_datetime
    from {{ ref('stg_page_view_events') }}
    where {{ concerned }}
    group by user_id, session_id
)

{% if sessions %}
{% set bounds = bounds_of('select min(event_datetime) as lowest, max(event_datetime) as highest from ' ~ ref('stg_page_view_events') ~ ' where ' ~ concerned) %}
, neighbours as (
    select
        touched.user_id,
        touched.session_id,
        min(sessions.session_start_datetime) as first_event_datetime,
        max(sessions.session_end_datetime) as last_event_datetime
    from touched
    inner join {{ sessions }} as sessions
        on touched.user_id = sessions.user_id
        and touched.session_id = sessions.session_id
        and sessions.session_end_datetime >= {{ add_hours('touched.first_event_datetime', -var('session_gap_hours')) }}
        and sessions.session_start_datetime <= {{ add_hours('touched.last_event_datetime', var('session_gap_hours')) }}
    {% if bounds %}
    where sessions.session_end_datetime >= {{ add_hours(timestamp_literal(bounds[0]), -var('session_gap_hours')) }}
        and sessions.session_start_datetime <= {{ add_hours(timestamp_literal(bounds[1]), var('session_gap_hours') + 1) }}
    {% endif %}
    group by touched.user_id, touched.session_id
)

select
    touched.user_id,
    touched.session_id,
    {{ least_of('touched.first_event_datetime', 'neighbours.first_event_datetime') }} as scope_start_datetime,
    {{ greatest_of('touched.last_event_datetime', 'neighbours.last_event_datetime') }} as scope_end_datetime
from touched
left join neighbours on touched.user_id = neighbours.user_id and touched.session_id = neighbours.session_id
{% else %}
select
    user_id,
    session_id,
    first_event_datetime as scope_start_datetime,
    last_event_datetime as scope_end_datetime
from touched
{% endif %}
