{# `where` of a test names what it looks at, so that the bounds are those of the run, known only when it runs. #}
{% macro get_where_subquery(relation) -%}
    {%- set scope = config.get('where') -%}
    {%- if not scope or not execute -%}{{ return(relation) }}{%- endif -%}
    {%- if scope == 'window' -%}{%- set predicate = in_window('bucket_ingestion_datetime') -%}
    {%- elif scope.startswith('events of ') -%}
        {%- set days = event_days(scope | replace('events of ', '')) -%}
        {%- set predicate = in_days('event_datetime', days) ~ ' and ' ~ in_window('bucket_ingestion_datetime') -%}
    {%- elif scope == 'session_days' -%}{%- set predicate = in_days('session_start_datetime', session_days()) -%}
    {%- elif scope == 'session_mart_days' -%}{%- set predicate = in_days('event_date', session_days(), 'date') -%}
    {%- elif scope == 'session_mart_weeks' -%}{%- set predicate = in_days('week_start', session_weeks(), 'date') -%}
    {%- elif scope == 'listen_mart_days' -%}{%- set predicate = in_days('event_date', listen_days(), 'date') -%}
    {%- else -%}{{ exceptions.raise_compiler_error("where: '" ~ scope ~ "' names no scope of get_where_subquery") }}
    {%- endif -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ predicate ~ ') as ' ~ relation.identifier ~ '_concerned') }}
{%- endmacro %}
