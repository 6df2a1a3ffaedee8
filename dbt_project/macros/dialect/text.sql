{#
    Text as keys see it. streaming_assets/text.py says what its fold is, and is what DuckDB calls for text that is not ASCII;
    BigQuery spells the same with functions of its own.
#}
{% macro fold(text) %}{{ return(adapter.dispatch('fold')(text)) }}{% endmacro %}
{% macro default__fold(text) -%}
    case
        when {{ is_ascii(text) }}
            then trim(replace(replace(lower({{ text }}), '"', ''), '`', ''''), ' ' || chr(9) || chr(10) || chr(13))
        else fold({{ text }})
    end
{%- endmacro %}
{% macro bigquery__fold(text) -%}
    {%- set repaired = 'coalesce(safe_cast(safe.code_points_to_bytes(to_code_points(' ~ text ~ ')) as string), ' ~ text ~ ')' -%}
    {%- set seen = 'regexp_replace(' ~ repaired ~ ", '[" ~ ignorable_characters() ~ "]', '')" -%}
    {%- set quoted = "regexp_replace(regexp_replace(" ~ seen ~ ", '[\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc`]', \"'\"), '[\"\u201c\u201d\u201e\u201f\u2033]', '')" -%}
    trim(normalize_and_casefold({{ quoted }}, NFKC), ' \t\n\r')
{%- endmacro %}

{# Letters of ASCII as capitals; of others engines disagree, so text that has any stays as it is. #}
{% macro upper_ascii(text) -%}
    case when {{ is_ascii(text) }} then upper({{ text }}) else {{ text }} end
{%- endmacro %}

{% macro is_ascii(text) %}{{ return(adapter.dispatch('is_ascii')(text)) }}{% endmacro %}
{% macro default__is_ascii(text) -%}strlen({{ text }}) = length({{ text }}){%- endmacro %}
{% macro bigquery__is_ascii(text) -%}byte_length({{ text }}) = length({{ text }}){%- endmacro %}

{# Unicode's Default_Ignorable_Code_Point, as a class of RE2. The characters themselves, since what stands for BigQuery in tests mistakes escapes. #}
{% macro ignorable_characters() -%}
    {{ "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff" }}
{%- endmacro %}
