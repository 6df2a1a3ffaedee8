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
    A fact's select: each event of a staging model once. Columns are those named and bucket_ingestion_datetime.
#}
{% macro first_events(staging, columns) -%}
with events as (
    {{ events_once(staging) }}
)

select
    {%- for column in columns %}
    {{ column }},
    {%- endfor %}
    bucket_ingestion_datetime
from events
{{ unless_known_earlier('events', staging) }}
{%- endmacro %}

{#
    The events that the window's hours hold, each once: of copies in several of them the earliest hour's counts, in whatever
    order hours come. Few events have copies, so these are looked for, and all others left as they are.
#}
{% macro events_once(staging) -%}
    {%- set concerned = in_window('staged.bucket_ingestion_datetime') if is_incremental() else '1 = 1' -%}
    select staged.*
    from {{ ref(staging) }} as staged
    left join (
        select event_id, min(bucket_ingestion_datetime) as first_datetime
        from {{ ref(staging) }} as staged
        where {{ concerned }}
        group by event_id
        having count(*) > 1
    ) as repeated on staged.event_id = repeated.event_id
    where {{ concerned }}
        and (repeated.event_id is null or staged.bucket_ingestion_datetime = repeated.first_datetime)
{%- endmacro %}

{# A condition: leaves out events of which the fact holds a copy from an hour before the window. #}
{% macro unless_known_earlier(events, staging) -%}
{%- if is_incremental() -%}
where not exists (
    select 1
    from {{ this }} as earlier
    where earlier.event_id = {{ events }}.event_id
        and earlier.bucket_ingestion_datetime < {{ window_start() }}
        and {{ in_days('earlier.event_datetime', event_days(staging)) }}
)
{%- endif -%}
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
