{# One macro makes each key, for facts and dimensions alike. #}

{% macro event_key(topic) -%}
    {{ surrogate_key(["'" ~ topic ~ "'", 'user_id', 'session_id', 'item_in_session', 'ts']) }}
{%- endmacro %}

{% macro user_key(user_id, effective) -%}{{ surrogate_key([user_id, to_ms(effective)]) }}{%- endmacro %}

{% macro page_key(page) -%}{{ surrogate_key([page]) }}{%- endmacro %}

{# Source and reference write artists in different encodings, so the cleaned one counts. Hundredths of a second, since the text of a decimal differs between engines. #}
{% macro song_key(artist, title, duration) -%}
    {{ surrogate_key([clean_artist(artist), title, 'cast(' ~ duration ~ ' * 100 as bigint)']) }}
{%- endmacro %}

{# The state's code, not its name: events carry the code alone. #}
{% macro location_key(country_code, postal_code, city, state_code) -%}
    {{ surrogate_key([country_code, postal_code, city, state_code]) }}
{%- endmacro %}
