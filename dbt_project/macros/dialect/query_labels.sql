{# Labels of a job of BigQuery: the node that sends it (none: dbt itself) and the hours that its run covers. #}
{% macro query_labels(node) -%}
    {%- if target.type == 'bigquery' -%}
    {{ tojson({
        'asset': node.name if node else 'none',
        'dataset': target.schema,
        'window_start': var('window_start', 'none'),
        'window_end': var('window_end', 'none'),
    }) }}
    {%- endif -%}
{%- endmacro %}
