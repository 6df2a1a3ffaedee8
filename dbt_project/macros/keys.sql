{# One macro makes each key, for facts and dimensions alike. #}

{# The hash of an event's identity, as its contract names it. #}
{% macro event_key(topic) -%}
    {%- if not execute -%}{{ return("''") }}{%- endif -%}
    {{ surrogate_key(["'" ~ topic ~ "'"] + identity_columns(topic)) }}
{%- endmacro %}

{% macro user_key(user_id, effective) -%}{{ surrogate_key([user_id, to_ms(effective)]) }}{%- endmacro %}

{% macro page_key(page) -%}{{ surrogate_key([page]) }}{%- endmacro %}

{# Source and reference write names in different encodings, cases and quotes, so their folds count. Hundredths of a second, since the text of a decimal differs between engines. #}
{% macro song_key(artist, title, duration) -%}
    {{ surrogate_key([fold(artist), fold(title), 'cast(' ~ duration ~ ' * 100 as bigint)']) }}
{%- endmacro %}

{# The state's code, not its name: events carry the code alone. #}
{% macro location_key(country_code, postal_code, city, state_code) -%}
    {{ surrogate_key([country_code, postal_code, fold(city), state_code]) }}
{%- endmacro %}
