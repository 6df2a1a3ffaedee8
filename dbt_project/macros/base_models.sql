{# (topic, the model that parses it), for what concerns all topics alike. ref() needs the names where it is used. #}
{% macro base_models() %}
    {{ return([
        ('listen_events', 'base_listen_events'),
        ('page_view_events', 'base_page_view_events'),
        ('status_change_events', 'base_status_change_events'),
        ('user_info', 'base_users'),
    ]) }}
{% endmacro %}
