{{ config(
    materialized='incremental',
    incremental_strategy=replacing('partitions'),
    replaces="{{ in_window('bucket_ingestion_datetime') }}",
    partition_by=partitions('bucket_ingestion_datetime', 'timestamp', 'hour'),
    partition_expiration_days=var('staging_expiry_days')
) }}

-- What the declared filter leaves out, so that an hour's rows still add up.
select
    'page_view_events' as topic,
    bucket_ingestion_datetime,
    auth,
    count(*) as row_count
from {{ ref('base_page_view_events') }}
where disposition = 'filtered'
group by bucket_ingestion_datetime, auth
