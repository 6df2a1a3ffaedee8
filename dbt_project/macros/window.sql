{# The hours and days that a run concerns. Bounds are literals, since only these prune partitions. #}

{% macro in_window(column) -%}
    {{ column }} >= {{ timestamp_literal(var('window_start')) }}
    and {{ column }} < {{ timestamp_literal(var('window_end')) }}
{%- endmacro %}

{# The days, as ISO dates, that a query with one date column gives; var `event_days`, with commas between, stands in where there is no warehouse to ask. #}
{% macro days_of(query) %}
    {% if var('event_days', none) is not none %}{{ return(var('event_days').split(',')) }}{% endif %}
    {% if not execute %}{{ return([]) }}{% endif %}
    {% set days = [] %}
    {% for row in run_query(query).rows %}{% do days.append(row[0].isoformat()[:10]) %}{% endfor %}
    {{ return(days | sort) }}
{% endmacro %}

{# Days of the events that a staging model has in the window's hours. #}
{% macro event_days(staging) %}
    {{ return(days_of('select distinct cast(event_datetime as date) as event_date from ' ~ table(staging) ~ ' where ' ~ in_window('bucket_ingestion_datetime'))) }}
{% endmacro %}
{% macro listen_days() %}{{ return(event_days('stg_listen_events')) }}{% endmacro %}

{# Days on which the sessions that the window touches start, or started before it. #}
{% macro session_days() %}
    {{ return(days_of('select distinct cast(event_datetime as date) as event_date from ' ~ table('int_touched_page_views'))) }}
{% endmacro %}

{# Contiguous days as [first, last + 1) pairs of ISO dates. #}
{% macro day_spans(days) %}
    {% set spans = [] %}
    {% for day in days | unique | sort %}
        {% set first = modules.datetime.date.fromisoformat(day) %}
        {% set next = (first + modules.datetime.timedelta(days=1)).isoformat() %}
        {% if spans and spans[-1][1] == day %}{% do spans.append([spans.pop()[0], next]) %}{% else %}{% do spans.append([day, next]) %}{% endif %}
    {% endfor %}
    {{ return(spans) }}
{% endmacro %}

{% macro in_days(column, days, type='timestamp') -%}
    {%- set spans = day_spans(days) -%}
    ({% for first, end in spans %}({{ column }} >= {{ type }} '{{ first }}' and {{ column }} < {{ type }} '{{ end }}'){% if not loop.last %} or {% endif %}{% else %}1 = 0{% endfor %})
{%- endmacro %}

{# [lowest, highest] of a query's two timestamp columns as literals, or none when it finds nothing. #}
{% macro bounds_of(query) %}
    {% if var('event_days', none) is not none %}
        {% set days = var('event_days').split(',') %}
        {{ return([days | min ~ ' 00:00:00', days | max ~ ' 23:59:59']) }}
    {% endif %}
    {% if not execute %}{{ return(none) }}{% endif %}
    {% set row = run_query(query).rows[0] %}
    {% if row[0] is none %}{{ return(none) }}{% endif %}
    {{ return([row[0].strftime('%Y-%m-%d %H:%M:%S'), row[1].strftime('%Y-%m-%d %H:%M:%S')]) }}
{% endmacro %}

{# Mondays of the weeks that hold these. #}
{% macro session_week_starts() %}
    {% set days = [] %}
    {% for day in session_days() %}
        {% set date = modules.datetime.date.fromisoformat(day) %}
        {% do days.append((date - modules.datetime.timedelta(days=date.weekday())).isoformat()) %}
    {% endfor %}
    {{ return(days | unique | list) }}
{% endmacro %}

{# All days of those weeks. #}
{% macro session_weeks() %}
    {% set days = [] %}
    {% for monday in session_week_starts() %}
        {% set date = modules.datetime.date.fromisoformat(monday) %}
        {% for offset in range(7) %}
            {% do days.append((date + modules.datetime.timedelta(days=offset)).isoformat()) %}
        {% endfor %}
    {% endfor %}
    {{ return(days) }}
{% endmacro %}
