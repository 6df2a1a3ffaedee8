{#
    The lines of a topic's objects in the window's hours, each field as text.
    Columns: raw_text, is_object, offset_text, object_name, kafka_partition, life, bucket_ingestion_datetime,
    and one text column a field.
#}
{% macro topic_lines(topic, fields) %}{{ return(adapter.dispatch('topic_lines')(topic, fields)) }}{% endmacro %}

{% macro default__topic_lines(topic, fields) %}
    select
        raw_text,
        case when parsed is not null then coalesce(json_type(parsed, '$.value') = 'OBJECT', false) end as is_object,
        json_extract_string(parsed, '$.offset') as offset_text,
        object_name,
        kafka_partition,
        life,
        bucket_ingestion_datetime,
        {%- for field in fields %}
        texts[{{ loop.index }}] as {{ field.column }}_text{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            *,
            json_extract_string(
                parsed, [{% for field in fields %}'$.value.{{ field.name }}'{{ ', ' if not loop.last }}{% endfor %}]
            ) as texts
        from ({{ lake_lines(topic) }}) as lines
    ) as extracted
{% endmacro %}

{# BigQuery drops a malformed line of an external table itself; the offsets show the gap. #}
{% macro bigquery__topic_lines(topic, fields) %}
    {%- set name = "regexp_extract(_file_name, r'/(\\d{10}-\\d{20}[^/]*)\\.gz$')" -%}
    select
        to_json_string(struct(value, `offset`, `timestamp`)) as raw_text,
        value is not null as is_object,
        cast(`offset` as string) as offset_text,
        regexp_extract(_file_name, r'/(raw/[^/]+/date=[^/]+/[^/]+)$') as object_name,
        cast(substr({{ name }}, 1, 10) as int64) as kafka_partition,
        nullif(substr({{ name }}, 33), '') as life,
        `date` as bucket_ingestion_datetime,
        {%- for field in fields %}
        value.{{ field.name }} as {{ field.column }}_text{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('external', event_table(topic)) }}
    where {{ in_window('`date`') }}
{% endmacro %}

{% macro event_table(topic) %}{{ return({'user_info': 'users_ext'}.get(topic, topic ~ '_ext')) }}{% endmacro %}

{#
    A topic's rows in the window's hours, typed, each with what becomes of it:
    disposition 'staged', 'filtered' (declared) or 'quarantined' (then `reason` says why).
#}
{% macro parsed_events(topic) %}
    {%- set fields = var('event_fields')[topic] -%}
    {%- set casts = {'integer': to_integer, 'number': to_number} -%}
    {%- set filters_auth = topic == 'page_view_events' -%}
-- reads {{ source('external', event_table(topic)) }}
with lines as (
{{ topic_lines(topic, fields) }}
),

typed as (
    select
        raw_text,
        is_object,
        {{ to_integer('offset_text') }} as kafka_offset,
        object_name,
        kafka_partition,
        life,
        bucket_ingestion_datetime,
        {%- for field in fields %}
        {{ field.column }}_text,
        {{ casts[field.type](field.column ~ '_text') if field.type in casts else field.column ~ '_text' }} as {{ field.column }},
        {%- endfor %}
        1 as one
    from lines
),

judged as (
    select
        *,
        case
            when is_object is null then 'malformed JSON'
            when not is_object then 'value is no object'
            {%- if filters_auth %}
            when auth <> '{{ var("staged_auth") }}' then 'filtered'
            {%- endif %}
            {%- for field in fields %}
            {%- if field.required %}
            when {{ field.column }}_text is null then 'missing {{ field.name }}'
            {%- endif %}
            {%- if field.type in casts %}
            when {{ field.column }}_text is not null and {{ field.column }} is null then 'mistyped {{ field.name }}'
            {%- endif %}
            {%- if field.check is defined %}
            when not ({{ field.check }}) then 'impossible {{ field.name }}'
            {%- endif %}
            {%- endfor %}
        end as verdict
    from typed
)

select
    raw_text,
    kafka_offset,
    object_name,
    kafka_partition,
    life,
    bucket_ingestion_datetime,
    {%- for field in fields %}
    {{ field.column }},
    {%- endfor %}
    nullif(verdict, 'filtered') as reason,
    case when verdict is null then 'staged' when verdict = 'filtered' then 'filtered' else 'quarantined' end as disposition
from judged
{% endmacro %}
