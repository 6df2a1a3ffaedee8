{# Small fixed tables that live in dbt_project.yml's vars. #}

{% macro page_category_rows() %}
    {%- for category, pages in var('page_categories').items() %}
    {%- set outer = loop %}
    {%- for page in pages %}
    select '{{ page }}' as page_name, '{{ category }}' as page_category
    {{- '' if outer.last and loop.last else ' union all' }}
    {%- endfor %}
    {%- endfor %}
{% endmacro %}

{% macro us_state_rows() %}
    {%- for state_code, state in var('us_states').items() %}
    select '{{ state_code }}' as state_code, '{{ state }}' as state{{ '' if loop.last else ' union all' }}
    {%- endfor %}
{% endmacro %}
