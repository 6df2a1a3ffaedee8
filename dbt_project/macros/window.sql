{# The hours and days that a run concerns. Bounds are literals, since only these prune partitions. #}

{#
    The ingestion hours that a run covers, [start, end), UTC, as texts: those of the vars window_start and window_end, or else
    all hours that the inventory knows.
#}
{% macro window() %}
    {% if window_is_given() %}{{ return([moment_of('window_start'), moment_of('window_end')]) }}{% endif %}
    {# Where there is no warehouse to ask, any hours do. #}
    {% if not execute or var('event_days', none) is not none %}{{ return(['1970-01-01 00:00:00', '1970-01-01 01:00:00']) }}{% endif %}
    {{ return(known_hours()) }}
{% endmacro %}

{% macro window_is_given() %}
    {% set start = var('window_start', none) %}
    {% set end = var('window_end', none) %}
    {% if (start is none) != (end is none) %}
        {{ exceptions.raise_compiler_error('window_start and window_end belong together: give both, or none for all hours') }}
    {% endif %}
    {{ return(start is not none) }}
{% endmacro %}

{# A var's moment as `2025-03-01 00:00:00`, UTC. YAML reads some moments as such, and some as text. #}
{% macro moment_of(name) %}
    {% set text = var(name) | string %}
    {% if not modules.re.match('^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?$', text) %}
        {{ exceptions.raise_compiler_error(name ~ ": '" ~ text ~ "' is no moment; write it as 2025-03-01 00:00:00 (UTC)") }}
    {% endif %}
    {% set moment = modules.datetime.datetime.fromisoformat(text) %}
    {% if moment.tzinfo %}{% set moment = moment.astimezone(modules.pytz.utc) %}{% endif %}
    {{ return(moment.strftime('%Y-%m-%d %H:%M:%S')) }}
{% endmacro %}

{#
    From the first to the last hour of the inventory; asked once an invocation, since all its models must cover the same hours.
    `graph` is what dbt's models of an invocation share.
#}
{% macro known_hours() %}
    {% set key = 'hours known to ' ~ invocation_id %}
    {% if key not in graph %}
        {% set listed = load_relation(inventory()) %}
        {% set hours = run_query('select min(bucket_ingestion_datetime), max(bucket_ingestion_datetime) from ' ~ listed).rows[0] if listed else [none] %}
        {% if hours[0] is none %}
            {{ exceptions.raise_compiler_error(
                'The warehouse' ~ (' ' ~ target.path if target.path else '') ~ ' knows no hour: its inventory, lake_objects, is '
                ~ ('empty' if listed else 'missing') ~ '. Runs of Dagster fill it; set STREAMING_ASSETS_HOME if another warehouse is meant'
            ) }}
        {% endif %}
        {% set start = earliest_hour(hours[0]) %}
        {% set end = hours[1] + modules.datetime.timedelta(hours=1) %}
        {% set bounds = [start.strftime('%Y-%m-%d %H:%M:%S'), end.strftime('%Y-%m-%d %H:%M:%S')] %}
        {% do log('No window given: all hours that the inventory knows, from ' ~ bounds[0] ~ ' to before ' ~ bounds[1] ~ ' UTC', info=true) %}
        {% do refuse_too_many_hours(((end - start).total_seconds() / 3600) | int) %}
        {% do graph.update({key: bounds}) %}
    {% endif %}
    {{ return(graph[key]) }}
{% endmacro %}

{# The first hour that may be read without being asked for: a bucket's life cycle may have deleted objects of older ones. #}
{% macro earliest_hour(first) %}{{ return(adapter.dispatch('earliest_hour')(first)) }}{% endmacro %}
{% macro default__earliest_hour(first) %}{{ return(first) }}{% endmacro %}
{% macro bigquery__earliest_hour(first) %}
    {% set days = env_var('STREAMING_ASSETS_LAKE_RETENTION_DAYS', '0') | int %}
    {% if days == 0 %}{{ return(first) }}{% endif %}
    {% set kept = (run_started_at - modules.datetime.timedelta(days=days, hours=-1)).replace(minute=0, second=0, microsecond=0) %}
    {{ return([first, kept] | max) }}
{% endmacro %}

{# One statement of BigQuery changes at most 4,000 partitions, and these are hours. #}
{% macro refuse_too_many_hours(hours) %}
    {% if target.type == 'bigquery' and hours > 4000 %}
        {{ exceptions.raise_compiler_error(
            hours ~ ' hours are more than one statement of BigQuery may change (4000): give spans, one after the other, by '
            ~ "--vars '{window_start: 2025-03-01 00:00:00, window_end: 2025-04-01 00:00:00}'"
        ) }}
    {% endif %}
{% endmacro %}

{% macro window_start() -%}{{ timestamp_literal(window()[0]) }}{%- endmacro %}

{% macro window_end() -%}{{ timestamp_literal(window()[1]) }}{%- endmacro %}

{% macro in_window(column) -%}
    {{ column }} >= {{ window_start() }}
    and {{ column }} < {{ window_end() }}
{%- endmacro %}

{#
    The days, as ISO dates, that a query with one date column gives, asked once an invocation: who asks comes after the model
    that it asks, and many do. Var `event_days`, with commas between, stands in where there is no warehouse to ask.
#}
{% macro days_of(query) %}
    {% if var('event_days', none) is not none %}{{ return(var('event_days').split(',')) }}{% endif %}
    {% if not execute %}{{ return([]) }}{% endif %}
    {% set asked = graph.get('days') or {} %}
    {% if asked.get('invocation') != invocation_id %}
        {% set asked = {'invocation': invocation_id} %}
        {% do graph.update({'days': asked}) %}
    {% endif %}
    {% if query not in asked %}
        {% set days = [] %}
        {% for row in run_query(query).rows %}{% do days.append(row[0].isoformat()[:10]) %}{% endfor %}
        {% do asked.update({query: days | sort}) %}
    {% endif %}
    {{ return(asked[query]) }}
{% endmacro %}

{# Days of the events that a staging model has in the window's hours. #}
{% macro event_days(staging) %}
    {{ return(days_of('select distinct cast(event_datetime as date) as event_date from ' ~ table(staging) ~ ' where ' ~ in_window('bucket_ingestion_datetime'))) }}
{% endmacro %}
{% macro listen_days() %}{{ return(event_days('stg_listen_events')) }}{% endmacro %}

{#
    Days on which the sessions that the window touches start, or started before it. Without a window these are all: what the
    last run touched may be less.
#}
{% macro session_days() %}
    {% set touched = 'select distinct cast(event_datetime as date) as event_date from ' ~ table('int_touched_page_views') %}
    {% set others = ' union distinct select cast(session_start_datetime as date) as event_date from ' ~ table('fact_session_events') %}
    {{ return(days_of(touched ~ ('' if window_is_given() else others))) }}
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
