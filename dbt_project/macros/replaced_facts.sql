{# What the facts replace: the rows that the window's hours are about to give again. #}

{# Of a fact with the event_id of a staging model. A copy from an hour before the window stays: it counts. #}
{% macro replaced_events(staging) -%}
    {{ in_days('event_datetime', event_days(staging)) }}
    and bucket_ingestion_datetime >= {{ window_start() }}
    and event_id in (
        select event_id from {{ table(staging) }} where {{ in_window('bucket_ingestion_datetime') }}
    )
{%- endmacro %}

{#
    A fact's select: each event of a staging model once. Of copies in several ingestion hours the earliest hour's counts, in
    whatever order hours come. Columns are those named and bucket_ingestion_datetime.
#}
{% macro first_events(staging, columns) -%}
with events as (
    select *
    from {{ ref(staging) }}
    {% if is_incremental() %}where {{ in_window('bucket_ingestion_datetime') }}{% endif %}
    qualify row_number() over (partition by event_id order by bucket_ingestion_datetime) = 1
)

select
    {%- for column in columns %}
    {{ column }},
    {%- endfor %}
    bucket_ingestion_datetime
from events
{%- if is_incremental() %}
where not exists (
    select 1
    from {{ this }} as earlier
    where earlier.event_id = events.event_id
        and earlier.bucket_ingestion_datetime < {{ window_start() }}
        and {{ in_days('earlier.event_datetime', event_days(staging)) }}
)
{%- endif %}
{%- endmacro %}

{% macro replaced_sessions() -%}
    {{ in_days('session_start_datetime', session_days()) }}
    and exists (
        select 1
        from {{ table('int_touched_sessions') }} as touched
        where touched.user_id = replaced.user_id
            and touched.session_id = replaced.session_id
            and replaced.session_start_datetime between touched.scope_start_datetime and touched.scope_end_datetime
    )
{%- endmacro %}
