{# Casts and types that the two warehouses spell differently. A cast that can't be done gives null. #}

{% macro decimal_type() %}{{ return(adapter.dispatch('decimal_type')()) }}{% endmacro %}
{% macro default__decimal_type() %}decimal(18, 6){% endmacro %}
{% macro bigquery__decimal_type() %}numeric{% endmacro %}

{# Whole numbers only: engines disagree on the text '12.5'. #}
{% macro to_integer(text) %}{{ return(adapter.dispatch('to_integer')(text)) }}{% endmacro %}
{% macro default__to_integer(text) -%}
    case when regexp_matches({{ text }}, '^-?[0-9]+$') then try_cast({{ text }} as bigint) end
{%- endmacro %}
{% macro bigquery__to_integer(text) -%}
    case when regexp_contains({{ text }}, r'^-?[0-9]+$') then safe_cast({{ text }} as int64) end
{%- endmacro %}

{% macro to_number(text) %}{{ return(adapter.dispatch('to_number')(text)) }}{% endmacro %}
{% macro default__to_number(text) -%}try_cast({{ text }} as decimal(18, 6)){%- endmacro %}
{% macro bigquery__to_number(text) -%}safe_cast({{ text }} as numeric){%- endmacro %}

{% macro to_timestamp_ms(milliseconds) %}{{ return(adapter.dispatch('to_timestamp_ms')(milliseconds)) }}{% endmacro %}
{% macro default__to_timestamp_ms(milliseconds) -%}make_timestamp({{ milliseconds }} * 1000){%- endmacro %}
{% macro bigquery__to_timestamp_ms(milliseconds) -%}timestamp_millis({{ milliseconds }}){%- endmacro %}

{# Keys hash milliseconds, never a timestamp's text, which differs between engines. #}
{% macro to_ms(moment) %}{{ return(adapter.dispatch('to_ms')(moment)) }}{% endmacro %}
{% macro default__to_ms(moment) -%}epoch_ms({{ moment }}){%- endmacro %}
{% macro bigquery__to_ms(moment) -%}unix_millis({{ moment }}){%- endmacro %}

{% macro timestamp_literal(text) %}{{ return(adapter.dispatch('timestamp_literal')(text)) }}{% endmacro %}
{% macro default__timestamp_literal(text) -%}timestamp '{{ text }}'{%- endmacro %}
{% macro bigquery__timestamp_literal(text) -%}timestamp '{{ text }}+00'{%- endmacro %}
