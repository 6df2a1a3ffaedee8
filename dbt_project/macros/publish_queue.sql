{#
    Post-hooks of the marts that change by the day: the days that the dashboards' snapshot must take over. They are
    queued with the rows themselves, so that a run which dies before publishing leaves them to the next.
#}
{% macro publish_queue() %}{{ return(table('publish_queue')) }}{% endmacro %}

{% macro ensure_publish_queue() %}
    create table if not exists {{ publish_queue() }} (mart {{ dbt.type_string() }}, day date)
{% endmacro %}

{# `days` by name, not those that the mart still has: a day whose last row went must leave the snapshot. #}
{% macro queue_days(day_column, days) %}
    {%- if not is_incremental() %}
    insert into {{ publish_queue() }}
    select distinct '{{ this.identifier }}' as mart, {{ day_column }} as day
    from {{ this }}
    {%- elif days %}
    insert into {{ publish_queue() }} values
    {% for day in days %}('{{ this.identifier }}', date '{{ day }}'){{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
{% endmacro %}
