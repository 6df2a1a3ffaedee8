{#
    What a mart's YAML says under `config: meta:`, and what follows from it:

        day: event_date            the column of the day, by which rows are replaced and published
        days: session_days         of a table: the macro that gives the values of that column which a run's hours concern
        publish: {grain: [level]}  that the dashboards' snapshot has it, and what names a row of a day

    The post-hooks of the marts queue the days that the snapshot must take over. They are queued with the rows themselves,
    so that a run which dies before publishing leaves them to the next.
#}

{# The queue's table. Not while dbt parses: a mart writes to it, so it is none of the tables that a mart is made of. #}
{% macro publish_queue() %}
    {% if execute %}{{ return(source('warehouse', 'publish_queue')) }}{% endif %}
{% endmacro %}

{# What the YAML of the running mart, or of the one that is tested, says under meta; nothing while dbt still parses. #}
{% macro said(key) %}
    {% set mart = graph.nodes[model.attached_node].config if execute and model.attached_node else config %}
    {{ return((mart.get('meta') or {}).get(key)) }}
{% endmacro %}

{# The days of that mart that its select gives anew; none for a view, which says none. #}
{% macro mart_days() %}
    {%- set name = said('days') -%}
    {% if not name %}{{ return(none) }}{% endif %}
    {% if name not in context %}
        {{ exceptions.raise_compiler_error(
            this.identifier ~ ': meta.days names no macro: ' ~ name ~ '; see macros/window.sql'
        ) }}
    {% endif %}
    {{ return(context[name]()) }}
{% endmacro %}

{# `replaces` of a mart, and what its tests look at. #}
{% macro replaced_days() -%}
    {{ in_days(said('day'), mart_days(), 'date') }}
{%- endmacro %}

{% macro ensure_publish_queue() %}
    {%- if execute and said('days') %}
    {%- set columns = graph.sources['source.streaming_assets.warehouse.publish_queue'].columns.values() %}
    create table if not exists {{ publish_queue() }} (
        {%- for column in columns %}{{ column.name }} {{ column.data_type }}{{ ', ' if not loop.last }}{% endfor -%}
    )
    {%- endif %}
{% endmacro %}

{# Days by name, not those that the mart still has: a day whose last row went must leave the snapshot. #}
{% macro queue_days() %}
    {%- if not said('days') %}
    {%- elif not is_incremental() %}
    insert into {{ publish_queue() }}
    select distinct '{{ this.identifier }}' as mart, {{ said('day') }} as day
    from {{ this }}
    {%- else %}
    {%- set days = mart_days() -%}
    {%- if days %}
    insert into {{ publish_queue() }} values
    {% for day in days %}('{{ this.identifier }}', date '{{ day }}'){{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
    {%- endif %}
{% endmacro %}
