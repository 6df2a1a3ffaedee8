{# Whether a row of dim_users is the one in force at a moment; a user's first row also covers all time before it. #}
{% macro in_force(users, moment) -%}
    {{ moment }} < {{ users }}.row_expiry_datetime
    and ({{ moment }} >= {{ users }}.row_effective_datetime or {{ users }}.is_first_row)
{%- endmacro %}

{# Post-hook of a fact: give the right user row to earlier facts of users whose rows the window changed. #}
{% macro rekey_users(moment) %}
    {%- if not is_incremental() -%}{{ return('') }}{%- endif -%}
    {%- set touched = table('int_touched_users') -%}
    {%- set bounds = bounds_of('select min(rekey_from_datetime) as lowest, max(rekey_to_datetime) as highest from ' ~ touched ~ ' where rekey_from_datetime is not null') -%}
    {%- if bounds is none -%}{{ return('') }}{%- endif -%}
    update {{ this }} as fact
    set pk_user = users.pk_user
    from {{ table('dim_users') }} as users, {{ touched }} as touched
    where fact.user_id = touched.user_id
        and users.user_id = touched.user_id
        and fact.{{ moment }} >= touched.rekey_from_datetime
        and fact.{{ moment }} < touched.rekey_to_datetime
        and fact.{{ moment }} >= {{ timestamp_literal(bounds[0]) }}
        and fact.{{ moment }} < {{ add_hours(timestamp_literal(bounds[1]), 1) }}
        and {{ in_force('users', 'fact.' ~ moment) }}
        and fact.pk_user <> users.pk_user
{% endmacro %}
