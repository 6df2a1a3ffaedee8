{{ config(meta={'dagster': {'ref': {'name': 'dim_users'}}}) }}

-- Rows of dim_users neither overlap nor leave a gap, for the users that the run touched; without a window for all.
with intervals as (
    select
        users.user_id,
        users.row_effective_datetime,
        users.row_expiry_datetime,
        users.is_first_row,
        lead(users.row_effective_datetime) over (
            partition by users.user_id order by users.row_effective_datetime
        ) as next_effective_datetime,
        row_number() over (partition by users.user_id order by users.row_effective_datetime) as row_in_order
    from {{ ref('dim_users') }} as users
    left join {{ ref('int_touched_users') }} as touched on users.user_id = touched.user_id
    {% if window_is_given() %}where touched.user_id is not null{% endif %}
)

select *
from intervals
where row_expiry_datetime <> coalesce(next_effective_datetime, {{ timestamp_literal('9999-01-01 00:00:00') }})
    or row_effective_datetime >= row_expiry_datetime
    or is_first_row <> (row_in_order = 1)
