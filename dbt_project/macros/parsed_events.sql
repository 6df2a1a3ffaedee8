{#
    A topic's rows in the window's hours, typed and judged; what base models are made of.

    Every field comes as text, since a mistyped one must not break a read. Each row gets what becomes of it: disposition
    'staged', 'filtered' (declared in the contract) or 'quarantined' (then `reason` says why).
#}
{% macro parsed_events(source) %}
    {%- do inventory() -%}
    {%- if not execute -%}{{ return('select 1 as one') }}{%- endif -%}
    {%- set topic = topic_of(source) -%}
    {{ judged_events(topic, topic_lines(topic, source)) }}
{% endmacro %}

{#
    Columns of `lines`: raw_text, fault (what is wrong with the line as such), is_object, offset_text, object_name,
    kafka_partition, stream_epoch, bucket_ingestion_datetime; of each field its text, `<column>_text`, and of text fields
    `<column>_is_nested`, whether it holds an object or an array instead.
#}
{% macro judged_events(topic, lines) %}
    {%- set fields = fields_of(topic) -%}
    {%- set filter = filter_of(topic) -%}
with lines as (
{{ lines }}
),

typed as (
    select
        *,
        {%- for field in fields %}
        {{ typed_text(field.column ~ '_text', field) }} as {{ field.column }},
        {%- endfor %}
        {{ to_integer('offset_text') }} as found_offset
    from lines
),

judged as (
    select
        *,
        case
            when fault is not null then fault
            when is_object is null then 'malformed JSON'
            when not is_object then 'value is no object'
            {%- if filter %}
            when not {{ filter.column }}_is_nested and {{ filter.column }}_text not in ({{ text_literals(filter.keep) }}) then 'filtered'
            {%- endif %}
            {%- for field in fields %}
            {%- if field.required %}
            when {{ field.column }}_text is null then 'missing {{ field.name }}'
            {%- endif %}
            {%- if field.type == 'string' %}
            when {{ field.column }}_is_nested then 'mistyped {{ field.name }}'
            {%- endif %}
            {%- if field.type != 'string' or field.time %}
            when {{ field.column }}_text is not null and {{ field.column }} is null then 'mistyped {{ field.name }}'
            {%- endif %}
            {%- if field.minimum is defined %}
            when {{ field.column }} < {{ field.minimum }} then 'impossible {{ field.name }}'
            {%- endif %}
            {%- if field.maximum is defined %}
            when {{ field.column }} > {{ field.maximum }} then 'impossible {{ field.name }}'
            {%- endif %}
            {%- if field.check is defined %}
            when not ({{ field.check }}) then 'impossible {{ field.name }}'
            {%- endif %}
            {%- if field.time %}
            {{ implausible_time(field) }}
            {%- endif %}
            {%- endfor %}
        end as verdict
    from typed
)

select
    case when verdict != 'filtered' then raw_text end as raw_text,
    case when found_offset between 0 and 4611686018427387903 then found_offset end as kafka_offset,
    object_name,
    kafka_partition,
    stream_epoch,
    bucket_ingestion_datetime,
    {%- for field in fields %}
    {{ field.column }},
    {%- endfor %}
    nullif(verdict, 'filtered') as reason,
    case when verdict is null then 'staged' when verdict = 'filtered' then 'filtered' else 'quarantined' end as disposition
from judged
{% endmacro %}

{# A field's text as its type, null if it is none. Moments are milliseconds since 1970, however they are written. #}
{% macro typed_text(text, field) -%}
    {%- if field.time == 'iso_8601' -%}{{ iso_8601_to_ms(text) }}
    {%- elif field.type == 'integer' -%}{{ to_integer(text) }}
    {%- elif field.type == 'number' -%}{{ to_number(text) }}
    {%- elif field.type == 'boolean' -%}case {{ text }} when 'true' then true when 'false' then false end
    {%- else -%}{{ text }}
    {%- endif -%}
{%- endmacro %}

{# Branches of a case: no moment before the contract's earliest day, none long after the hour in which it arrived. #}
{% macro implausible_time(field) -%}
    {%- set earliest = field.earliest or '1970-01-01' -%}
    {%- set datetime = modules.datetime.datetime -%}
    {%- set first = (datetime.fromisoformat(earliest) - datetime(1970, 1, 1)).total_seconds() | int * 1000 -%}
    {%- set last = '(' ~ to_ms('bucket_ingestion_datetime') ~ ' + ' ~ var('event_time_ahead_hours') * 3600000 ~ ')' -%}
    when {{ field.column }} between {{ first // 1000 }} and {{ last }} / 1000 then '{{ field.name }} looks like seconds'
            when {{ field.column }} < {{ first }} then '{{ field.name }} before {{ earliest }}'
            {%- for unit, factor in (('microseconds', 1000), ('nanoseconds', 1000000)) %}
            when {{ field.column }} > {{ last }} and {{ field.column }} between {{ first * factor }} and {{ last }} * {{ factor }} then '{{ field.name }} looks like {{ unit }}'
            {%- endfor %}
            when {{ field.column }} > {{ last }} then '{{ field.name }} after its ingestion hour by more than {{ var("event_time_ahead_hours") }} h'
{%- endmacro %}
