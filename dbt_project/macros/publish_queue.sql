{#
    What a model's YAML says under `config: meta:`, and what follows from it:

        day: event_date            the column of the day, by which a mart's rows are replaced, and files published
        days: session_days         of a table: the macro that gives the days which a run's hours concern, or the staging
                                   model whose events' days these are
        publish: {grain: [level]}  that the snapshot has it, and what names a row of a day (streaming_assets/published/)

    The post-hooks of facts and marts queue the days that the snapshot must take over. They are queued with the rows
    themselves, so that a run which dies before publishing leaves them to the next.
#}

{# The queue's table. Not while dbt parses: a model writes to it, so it is none of the tables that it is made of. #}
{% macro publish_queue() %}
    {% if execute %}{{ return(source('warehouse', 'publish_queue')) }}{% endif %}
{% endmacro %}

{# What the YAML of the running model, or of the one that is tested, says under meta; nothing while dbt still parses. #}
{% macro said(key) %}
    {% set mart = graph.nodes[model.attached_node].config if execute and model.attached_node else config %}
    {{ return((mart.get('meta') or {}).get(key)) }}
{% endmacro %}

{# The days of that mart that its select gives anew; none for a view, which says none. #}
{% macro mart_days() %}
    {%- set name = said('days') -%}
    {% if not name %}{{ return(none) }}{% endif %}
    {% if name.startswith('stg_') %}{{ return(event_days(name)) }}{% endif %}
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

{# The macro of the days that are queued; none where the model's changes need not be told. #}
{% macro queued_by() %}{{ return(adapter.dispatch('queued_by')()) }}{% endmacro %}
{% macro default__queued_by() %}{{ return(said('days')) }}{% endmacro %}
{# Its facts are read where they are. #}
{% macro bigquery__queued_by() %}{{ return(said('days') if model.fqn[1] == 'marts' else none) }}{% endmacro %}

{% macro ensure_publish_queue() %}
    {%- if execute and queued_by() and not load_cached_relation(publish_queue()) %}
    {%- set columns = graph.sources['source.streaming_assets.warehouse.publish_queue'].columns.values() %}
    create table if not exists {{ publish_queue() }} (
        {%- for column in columns %}{{ column.name }} {{ column.data_type }}{{ ', ' if not loop.last }}{% endfor -%}
    )
    {%- endif %}
{% endmacro %}

{# Days by name, not those that the table still has: a day whose last row went must leave the snapshot. #}
{% macro queue_days() %}
    {%- if not queued_by() %}
    {%- elif not is_incremental() %}
    insert into {{ publish_queue() }}
    select distinct '{{ this.identifier }}' as mart, cast({{ said('day') }} as date) as day
    from {{ this }}
    {%- else %}
    {%- set days = mart_days() -%}
    {%- if days %}
    insert into {{ publish_queue() }} values
    {% for day in days %}('{{ this.identifier }}', date '{{ day }}'){{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
    {%- endif %}
{% endmacro %}
