{{ config(materialized='incremental', incremental_strategy=replacing('rows')) }}

-- The site's pages with their categories, and an inferred member for each page seen that the list lacks.
with listed as ({{ page_category_rows() }}
),

viewed as (
    select distinct page as page_name
    from {{ ref('stg_page_view_events') }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
),

members as (
    select
        {{ page_key('page_name') }} as pk_page,
        page_name,
        page_category,
        false as is_inferred
    from listed
    union all
    select
        {{ page_key('page_name') }} as pk_page,
        page_name,
        'UNKNOWN' as page_category,
        true as is_inferred
    from viewed
    where page_name not in (select page_name from listed)
)

select * from {{ missing_members('members', 'pk_page') }}
