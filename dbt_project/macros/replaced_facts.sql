{# What the facts replace: the rows that the window's hours are about to give again. #}

{# A copy from an hour before the window stays: it counts. #}
{% macro replaced_listens() -%}
    {{ in_days('event_datetime', listen_days()) }}
    and bucket_ingestion_datetime >= {{ timestamp_literal(var('window_start')) }}
    and event_id in (
        select event_id from {{ table('stg_listen_events') }} where {{ in_window('bucket_ingestion_datetime') }}
    )
{%- endmacro %}

{% macro replaced_sessions() -%}
    {{ in_days('session_start_datetime', session_days()) }}
    and exists (
        select 1
        from {{ table('int_touched_sessions') }} as touched
        where touched.user_id = replaced.user_id
            and touched.session_id = replaced.session_id
            and replaced.session_start_datetime between touched.scope_start_datetime and touched.scope_end_datetime
    )
{%- endmacro %}
