{# Pre-hooks of the facts: take out the rows that the window's hours are about to give again. #}

{# A copy from an hour before the window stays: it counts. #}
{% macro replace_listens() %}
    {%- set predicate -%}
        {{ in_days('event_datetime', listen_days()) }}
        and bucket_ingestion_datetime >= {{ timestamp_literal(var('window_start')) }}
        and event_id in (
            select event_id from {{ table('stg_listen_events') }} where {{ in_window('bucket_ingestion_datetime') }}
        )
    {%- endset -%}
    {{ return(replace_where(predicate)) }}
{% endmacro %}

{% macro replace_sessions() %}
    {%- set predicate -%}
        {{ in_days('session_start_datetime', session_days()) }}
        and exists (
            select 1
            from {{ table('int_touched_sessions') }} as touched
            where touched.user_id = {{ this }}.user_id
                and touched.session_id = {{ this }}.session_id
                and {{ this }}.session_start_datetime between touched.scope_start_datetime and touched.scope_end_datetime
        )
    {%- endset -%}
    {{ return(replace_where(predicate)) }}
{% endmacro %}
