{# How values of events and of reference files are made alike, so that their keys meet. What people read stays as it came. #}

{# Without blanks at the ends; null if nothing is left. #}
{% macro trimmed(text) -%}nullif(trim({{ text }}, {{ blanks() }}), ''){%- endmacro %}

{% macro clean_duration(duration) -%}cast(round({{ duration }}, 2) as {{ decimal_type() }}){%- endmacro %}

{% macro city_or_none(city) -%}coalesce({{ trimmed(city) }}, 'NO CITY'){%- endmacro %}

{% macro state_name_or_none(state) -%}coalesce({{ trimmed(state) }}, 'NO STATE'){%- endmacro %}

{# The code of a state, given that or its name. ALL is no state: the marts call the roll-up over all of them so. #}
{% macro state_code_or_none(state) -%}
    {%- set clean = upper_ascii(trimmed(state)) -%}
    case
        when length({{ clean }}) <= 2 then {{ clean }}
        else coalesce(
            {{ looked_up(clean, var('us_states')) }},
            nullif({{ clean }}, 'ALL'),
            'NO STATE'
        )
    end
{%- endmacro %}

{# Five digits in the US, where a number lost its leading zeros. #}
{% macro standardise_postal_code(postal_code, country_code) -%}
    case
        when {{ country_code }} = 'US' and {{ matches(trimmed(postal_code), '^[0-9]{1,4}$') }} then lpad({{ trimmed(postal_code) }}, 5, '0')
        else {{ upper_ascii(trimmed(postal_code)) }}
    end
{%- endmacro %}

{% macro other_level(level) -%}case {{ level }} when 'free' then 'paid' else 'free' end{%- endmacro %}
