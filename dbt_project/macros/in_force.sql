{# Whether a row of dim_users is the one in force at a moment; a user's first row also covers all time before it. #}
{% macro in_force(users, moment) -%}
    {{ moment }} < {{ users }}.row_expiry_datetime
    and ({{ moment }} >= {{ users }}.row_effective_datetime or {{ users }}.is_first_row)
{%- endmacro %}

{# Post-hook of a fact: give the right user row to earlier facts of users whose rows the window changed. #}
{% macro rekey_users(moment) %}
    {%- set condition = is_rekeyed(moment) -%}
    {%- if condition %}
    update {{ this }} as fact
    set pk_user = users.pk_user
    from {{ table('dim_users') }} as users, {{ table('int_touched_users') }} as touched
    where {{ condition }}
    {%- endif %}
{% endmacro %}

{# Post-hook before it: the days of these facts are published anew. #}
{% macro queue_rekeyed(moment) %}
    {%- set condition = is_rekeyed(moment) if queued_by() else none -%}
    {%- if condition %}
    insert into {{ publish_queue() }}
    select distinct '{{ this.identifier }}' as mart, cast(fact.{{ moment }} as date) as day
    from {{ this }} as fact, {{ table('dim_users') }} as users, {{ table('int_touched_users') }} as touched
    where {{ condition }}
    {%- endif %}
{% endmacro %}

{# The condition that a fact has another user row from now on; none where there is none such. #}
{% macro is_rekeyed(moment) %}
    {%- if not is_incremental() -%}{{ return(none) }}{%- endif -%}
    {%- set bounds = bounds_of('select min(rekey_from_datetime) as lowest, max(rekey_to_datetime) as highest from ' ~ table('int_touched_users') ~ ' where rekey_from_datetime is not null') -%}
    {%- if bounds is none -%}{{ return(none) }}{%- endif -%}
    {%- set condition -%}
        fact.user_id = touched.user_id
        and users.user_id = touched.user_id
        and fact.{{ moment }} >= touched.rekey_from_datetime
        and fact.{{ moment }} < touched.rekey_to_datetime
        and fact.{{ moment }} >= {{ timestamp_literal(bounds[0]) }}
        and fact.{{ moment }} < {{ add_hours(timestamp_literal(bounds[1]), 1) }}
        and {{ in_force('users', 'fact.' ~ moment) }}
        and fact.pk_user <> users.pk_user
    {%- endset -%}
    {{ return(condition) }}
{% endmacro %}
