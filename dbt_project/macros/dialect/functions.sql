{# Functions that the two warehouses spell differently. #}

{% macro seconds_between(start, end) %}{{ return(adapter.dispatch('seconds_between')(start, end)) }}{% endmacro %}
{% macro default__seconds_between(start, end) -%}datesub('second', {{ start }}, {{ end }}){%- endmacro %}
{% macro bigquery__seconds_between(start, end) -%}timestamp_diff({{ end }}, {{ start }}, second){%- endmacro %}

{% macro add_hours(moment, hours) %}{{ return(adapter.dispatch('add_hours')(moment, hours)) }}{% endmacro %}
{% macro default__add_hours(moment, hours) -%}({{ moment }} + interval ({{ hours }}) hour){%- endmacro %}
{% macro bigquery__add_hours(moment, hours) -%}timestamp_add({{ moment }}, interval {{ hours }} hour){%- endmacro %}

{# Monday of the moment's week. #}
{% macro week_of(moment) %}{{ return(adapter.dispatch('week_of')(moment)) }}{% endmacro %}
{% macro default__week_of(moment) -%}cast(date_trunc('week', {{ moment }}) as date){%- endmacro %}
{% macro bigquery__week_of(moment) -%}date_trunc(cast({{ moment }} as date), isoweek){%- endmacro %}

{% macro matches(text, pattern) %}{{ return(adapter.dispatch('matches')(text, pattern)) }}{% endmacro %}
{% macro default__matches(text, pattern) -%}regexp_matches({{ text }}, '{{ pattern }}'){%- endmacro %}
{% macro bigquery__matches(text, pattern) -%}regexp_contains({{ text }}, r'{{ pattern }}'){%- endmacro %}

{#
    The hash of values that together name a row. `~,` stands between two of them, `~~` for a tilde inside of one, and a null is
    told from every text: no two rows of values make one text, whatever characters they hold.
#}
{% macro surrogate_key(values) %}{{ return(adapter.dispatch('surrogate_key')(values)) }}{% endmacro %}
{% macro default__surrogate_key(values) -%}
    md5({% for value in values %}coalesce('=' || replace(cast({{ value }} as varchar), '~', '~~'), '-'){{ " || '~,' || " if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro bigquery__surrogate_key(values) -%}
    to_hex(md5(concat({% for value in values %}coalesce(concat('=', replace(cast({{ value }} as string), '~', '~~')), '-'){{ ", '~,', " if not loop.last }}{% endfor %})))
{%- endmacro %}

{# Blanks, as the second argument of trim. #}
{% macro blanks() %}{{ return(adapter.dispatch('blanks')()) }}{% endmacro %}
{% macro default__blanks() -%}' ' || chr(9) || chr(10) || chr(13){%- endmacro %}
{% macro bigquery__blanks() -%}' \t\n\r'{%- endmacro %}

{# dbt-duckdb refuses a mapping as partition_by. #}
{% macro partitions(field, data_type, granularity) %}{{ return(adapter.dispatch('partitions')(field, data_type, granularity)) }}{% endmacro %}
{% macro default__partitions(field, data_type, granularity) %}{{ return(none) }}{% endmacro %}
{% macro bigquery__partitions(field, data_type, granularity) %}
    {{ return({'field': field, 'data_type': data_type, 'granularity': granularity}) }}
{% endmacro %}

{# The value of the first row, in an order, that meets a condition. #}
{% macro first_by(value, order, condition='1 = 1') %}{{ return(adapter.dispatch('first_by')(value, order, condition)) }}{% endmacro %}
{% macro default__first_by(value, order, condition) -%}
    first({{ value }} order by {{ order }}) filter (where {{ condition }})
{%- endmacro %}
{% macro bigquery__first_by(value, order, condition) -%}
    array_agg(if({{ condition }}, {{ value }}, null) ignore nulls order by {{ order }} limit 1)[safe_offset(0)]
{%- endmacro %}

{#
    The code whose name is `text`, of a mapping of codes to names, both in capitals here; null if it is no name's. DuckDB
    would plan a copy of `text` for each of the mapping's names.
#}
{% macro looked_up(text, names_of_codes) %}{{ return(adapter.dispatch('looked_up')(text, names_of_codes)) }}{% endmacro %}
{% macro default__looked_up(text, names_of_codes) -%}
    map { {%- for code, name in names_of_codes.items() %}'{{ name | upper }}': '{{ code }}'{{ ', ' if not loop.last }}{% endfor -%} }[{{ text }}]
{%- endmacro %}
{% macro bigquery__looked_up(text, names_of_codes) -%}
    case {{ text }}{% for code, name in names_of_codes.items() %} when '{{ name | upper }}' then '{{ code }}'{% endfor %} end
{%- endmacro %}

{# The lesser of two values, or the one that is not null. #}
{% macro least_of(a, b) -%}coalesce(least({{ a }}, {{ b }}), {{ a }}, {{ b }}){%- endmacro %}

{% macro greatest_of(a, b) -%}coalesce(greatest({{ a }}, {{ b }}), {{ a }}, {{ b }}){%- endmacro %}
