{#
    Records that the sink could not write, each with its original bytes and with headers that say where it came from.
    Columns: topic, kafka_partition, kafka_offset, stream_epoch (of the source), reason, raw_text, dead_letter_offset, object_name,
    bucket_ingestion_datetime.
#}
{% macro dead_letters(letters) %}{% do inventory() %}{{ return(adapter.dispatch('dead_letters')(letters)) }}{% endmacro %}

{% macro default__dead_letters(letters) %}
    {%- if not execute -%}{{ return('select 1 as one') }}{%- endif -%}
    {%- set topic = dead_letter_topic() -%}
    {%- set some = set_variable(topic ~ '_suspects', 'uri', readable_objects(topic) ~ ' and lines_uri is null') -%}
    {%- set careful = set_variable(topic ~ '_careful', 'lines_uri', readable_objects(topic) ~ ' and lines_uri is not null') -%}
    {%- set header = "list_filter(headers, lambda header: header.key = '__connect.errors.%s')[1].value" -%}
    select
        {{ header % 'topic' }} as topic,
        {{ to_integer(header % 'partition') }} as kafka_partition,
        {{ to_integer(header % 'offset') }} as kafka_offset,
        {{ epoch_of_source('stream_epoch') }} as stream_epoch,
        'dead letter: ' || coalesce({{ header % 'exception.message' }}, 'no reason given') as reason,
        coalesce(try(decode(from_base64(value))), value, raw_text) as raw_text,
        dead_letter_offset,
        object_name,
        bucket_ingestion_datetime
    from (
        select
            *,
            json_extract_string(parsed, '$.value') as value,
            from_json(json_extract(parsed, '$.headers'), '[{"key": "VARCHAR", "value": "VARCHAR"}]') as headers,
            {{ to_integer("json_extract_string(parsed, '$.offset')") }} as dead_letter_offset
        from ({{ careful_lines(topic, some, careful) }}) as lines
    ) as letters
{% endmacro %}

{% macro bigquery__dead_letters(letters) %}
    {%- set header -%}
        (
            select json_value(header, '$.value')
            from unnest(json_query_array(parsed, '$.headers')) as header with offset as place
            where json_value(header, '$.key') = '__connect.errors.%s'
            order by place
            limit 1
        )
    {%- endset -%}
    select
        {{ header % 'topic' }} as topic,
        {{ to_integer(header % 'partition') }} as kafka_partition,
        {{ to_integer(header % 'offset') }} as kafka_offset,
        {{ epoch_of_source('stream_epoch') }} as stream_epoch,
        concat('dead letter: ', coalesce({{ header % 'exception.message' }}, 'no reason given')) as reason,
        coalesce(safe_convert_bytes_to_string(safe.from_base64(value)), value, raw_text) as raw_text,
        {{ to_integer('offset_text') }} as dead_letter_offset,
        object_name,
        bucket_ingestion_datetime
    from (
        select *, {{ json_text("json_query(parsed, '$.value')") }} as value
        from ({{ external_lines(dead_letter_topic(), letters) }}) as lines
    ) as letters
{% endmacro %}

{# The Python sink names its objects <topic>-<stream epoch of the source>; Kafka Connect knows none. #}
{% macro epoch_of_source(stream_epoch) -%}
    nullif(regexp_replace(coalesce({{ stream_epoch }}, ''), '^[^-]*-?', ''), '')
{%- endmacro %}
