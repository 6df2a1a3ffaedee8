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
{% macro default__to_number(text) -%}
    case when regexp_matches({{ text }}, '^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$') then try_cast({{ text }} as decimal(18, 6)) end
{%- endmacro %}
{% macro bigquery__to_number(text) -%}
    case when regexp_contains({{ text }}, r'^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$') then safe_cast({{ text }} as numeric) end
{%- endmacro %}

{# A moment of ISO 8601, of UTC unless it says otherwise, as milliseconds since 1970. #}
{% macro iso_8601_to_ms(text) %}{{ return(adapter.dispatch('iso_8601_to_ms')(text)) }}{% endmacro %}
{# A cast to timestamp would leave the offset out. One to timestamptz wants seconds, and an offset lest it take the session's. #}
{% macro default__iso_8601_to_ms(text) -%}
    {%- set timed = "regexp_replace(" ~ text ~ ", '^(.{10}[T ][0-9]{2}:[0-9]{2})([^:].*)?$', '\\1:00\\2')" -%}
    {%- set offset = "case when regexp_matches(" ~ text ~ ", '(Z|[+-][0-9]{2}(:[0-9]{2})?)$') then '' else 'Z' end" -%}
    case when regexp_matches({{ text }}, '{{ iso_8601_pattern() }}') then epoch_ms(try_cast({{ timed }} || {{ offset }} as timestamptz)) end
{%- endmacro %}
{% macro bigquery__iso_8601_to_ms(text) -%}
    case when regexp_contains({{ text }}, r'{{ iso_8601_pattern() }}') then unix_millis(safe_cast({{ text }} as timestamp)) end
{%- endmacro %}
{% macro iso_8601_pattern() -%}
    ^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}(:[0-9]{2})?)?$
{%- endmacro %}

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
