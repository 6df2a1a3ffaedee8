{{ config(materialized='view') }}

-- The row of each user that is in force at the end of the newest ingestion hour that the tables hold. No stored flag could
-- say it: it changes as time goes by, without an event of the user. A user's first row also covers what came before it.
with newest as (
    select {{ add_hours('max(bucket_ingestion_datetime)', 1) }} as as_of_datetime
    from {{ source('warehouse', 'lake_objects') }}
    where is_processed
)

select
    users.pk_user,
    users.user_id,
    users.first_name,
    users.last_name,
    users.gender,
    users.registration_datetime,
    users.level,
    users.row_effective_datetime,
    users.is_inferred,
    newest.as_of_datetime
from {{ ref('dim_users') }} as users
inner join newest
    on
        users.row_expiry_datetime > newest.as_of_datetime
        and (users.row_effective_datetime <= newest.as_of_datetime or users.is_first_row)
