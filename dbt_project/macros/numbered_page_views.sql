{#
    The page views of the run's sessions, each with `session_number`: the first of its (user, session id) is 1, and a gap of more
    than var session_gap_hours begins the next. Two members of a WITH; the last is `numbered`. `condition` leaves out some of the
    pairs (user, session id), never some of a pair's views.
#}
{% macro numbered_page_views(condition='') -%}
ordered as (
    select
        *,
        lag(event_datetime) over (
            partition by user_id, session_id order by event_datetime, item_in_session, event_id
        ) as previous_datetime
    from {{ ref('int_touched_page_views') }}
    {{ condition }}
),

numbered as (
    select
        *,
        sum(
            case
                when event_datetime <= {{ add_hours('previous_datetime', var('session_gap_hours')) }} then 0
                else 1
            end
        ) over (
            partition by user_id, session_id
            order by event_datetime, item_in_session, event_id
            rows between unbounded preceding and current row
        ) as session_number
    from ordered
)
{%- endmacro %}
