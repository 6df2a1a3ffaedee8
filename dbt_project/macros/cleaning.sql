{# How values of events and of reference files are made alike, so that their keys meet. #}

{# Non-ASCII characters and double quotes go: both sides carry them in different encodings and quotings. #}
{% macro clean_title(title) -%}{{ strip_pattern(title, '[^\\x00-\\x7F]+|"') }}{%- endmacro %}

{# As titles are; an artist with no ASCII character at all stays as it is. #}
{% macro clean_artist(artist) -%}coalesce(nullif({{ clean_title(artist) }}, ''), {{ artist }}){%- endmacro %}

{% macro clean_duration(duration) -%}cast(round({{ duration }}, 2) as {{ decimal_type() }}){%- endmacro %}

{% macro city_or_none(city) -%}coalesce({{ city }}, 'NO CITY'){%- endmacro %}

{# ALL is no state: the marts call the roll-up over all of them so. #}
{% macro state_or_none(state) -%}coalesce(nullif({{ state }}, 'ALL'), 'NO STATE'){%- endmacro %}

{# Five digits in the US, where a number lost its leading zeros. #}
{% macro standardise_postal_code(postal_code, country_code) -%}
    case when {{ country_code }} = 'US' and length({{ postal_code }}) < 5 then lpad({{ postal_code }}, 5, '0') else {{ postal_code }} end
{%- endmacro %}

{% macro other_level(level) -%}case {{ level }} when 'free' then 'paid' else 'free' end{%- endmacro %}
