{#
    The lines of a topic's objects in the window's hours, as `judged_events` takes them.

    DuckDB reads objects in two ways that give the same rows. `fast_lines` has it parse each line into the contract's fields.
    It keeps no line's text, and takes an object whole or not at all; so a row that will be quarantined, whose bytes must be
    kept, has its whole object read once more by `careful_lines`, line by line (`read_carefully`, the post-hook of base models).
    Objects that only the project's own reader can read come from the file that it left of them (lake/reading.py).
    Those of a sealed hour come from its one file (lake/sealed.py): all are plain, and it holds their lines' text.
    The inventory names the objects of the window's hours: no folder of another hour is opened, however long the history.
#}
{% macro inventory() %}{{ return(source('warehouse', 'lake_objects')) }}{% endmacro %}

{% macro topic_lines(topic, source) %}{{ return(adapter.dispatch('topic_lines')(topic, source)) }}{% endmacro %}

{% macro default__topic_lines(topic, source) %}
    {%- set fields = fields_of(topic) -%}
    {%- set struct = struct_of(fields | map(attribute="name") | list) -%}
    {%- set found = set_variable(topic ~ '_objects', 'uri', readable_objects(topic) ~ ' and lines_uri is null and sealed_uri is null') -%}
    {%- set sealed = set_variable(topic ~ '_sealed', 'sealed_uri', readable_objects(topic) ~ ' and sealed_uri is not null') -%}
    select
        lines.raw_text,
        cast(null as varchar) as fault,
        case when lines.value is not null then true end as is_object,
        lines.offset_text,
        lines.object_name,
        lines.kafka_partition,
        lines.stream_epoch,
        lines.bucket_ingestion_datetime
        {%- for field in fields %},
        lines.value."{{ field.name | replace('.', '"."') }}" as {{ field.column }}_text
        {%- if field.type == 'string' %},
        coalesce(
            case
                when not regexp_matches({{ field.column }}_text, '^[{\[]') then false
                when lines.raw_text is null then json_valid({{ field.column }}_text)
                else json_type(lines.raw_text, '$.value."{{ field.name | replace('.', '"."') }}"') in ('OBJECT', 'ARRAY')
            end,
            false
        ) as {{ field.column }}_is_nested
        {%- endif %}
        {%- endfor %}
    from (
        {%- if found %}
        select
            cast(null as varchar) as raw_text, lines.value, lines.offset_text,
            objects.object_name, objects.kafka_partition, objects.stream_epoch, objects.bucket_ingestion_datetime
        from read_json(
            getvariable('{{ topic }}_objects'),
            columns = {'value': '{{ struct }}', 'offset': 'VARCHAR'},
            format = 'newline_delimited', compression = 'gzip', ignore_errors = true, filename = true, hive_partitioning = false
        ) as lines (value, offset_text, filename)
        inner join {{ inventory() }} as objects on lines.filename = objects.uri
        where {{ in_window('objects.bucket_ingestion_datetime') }}
        {%- endif %}
        {%- if found and sealed %}
        union all
        {%- endif %}
        {%- if sealed %}
        select
            lines.line as raw_text, lines.record.value, lines.record."offset" as offset_text,
            objects.object_name, objects.kafka_partition, objects.stream_epoch, objects.bucket_ingestion_datetime
        from (
            select *, json_transform(line, '{{ json_structure_of(fields | map(attribute="name") | list) }}') as record
            from read_parquet(getvariable('{{ topic }}_sealed'), hive_partitioning = false, filename = true)
        ) as lines
        inner join {{ inventory() }} as objects on lines.object_name = objects.object_name and lines.filename = objects.sealed_uri
        where {{ in_window('objects.bucket_ingestion_datetime') }}
        {%- endif %}
        {%- if not found and not sealed %}
        select
            cast(null as varchar) as raw_text, cast(null as {{ struct }}) as value, cast(null as varchar) as offset_text,
            cast(null as varchar) as object_name, cast(null as bigint) as kafka_partition, cast(null as varchar) as stream_epoch,
            cast(null as timestamp) as bucket_ingestion_datetime
        where false
        {%- endif %}
    ) as lines
{% endmacro %}

{# BigQuery reads an object's lines as text, whatever they hold; the fields' texts are then taken from their JSON. #}
{% macro bigquery__topic_lines(topic, source) %}
    {%- set fields = fields_of(topic) -%}
    select
        raw_text,
        fault,
        case when parsed is not null then coalesce(json_type(json_query(parsed, '$.value')) = 'object', false) end as is_object,
        offset_text,
        object_name,
        kafka_partition,
        stream_epoch,
        bucket_ingestion_datetime
        {%- for field in fields %},
        {{ json_text(field.column ~ '_json') }} as {{ field.column }}_text
        {%- if field.type == 'string' %},
        coalesce(json_type({{ field.column }}_json) in ('object', 'array'), false) as {{ field.column }}_is_nested
        {%- endif %}
        {%- endfor %}
    from (
        select
            *
            {%- for field in fields %},
            json_query(parsed, '$.value."{{ field.name | replace(".", '"."') }}"') as {{ field.column }}_json
            {%- endfor %}
        from ({{ external_lines(topic, source) }}) as lines
    ) as extracted
{% endmacro %}

{#
    Lines of the objects that the inventory names, as text and as JSON (null if malformed). An object that lands after the
    lake was listed is left to a later run, which counts its rows as well. Columns: raw_text, fault, offset_text, parsed,
    object_name, kafka_partition, stream_epoch, bucket_ingestion_datetime.

    An external table cuts a line at a sign that no JSON can hold (warehouses/bigquery_tables.py). `offset_text` of a line that
    is no JSON is the offset that it shows, where it shows just one. As in lake/reading.py, blank lines are none.
#}
{% macro external_lines(topic, source) %}
    {%- set shown = "regexp_extract_all(raw_text, r'\"offset\"\\s*:\\s*(-?[0-9]{1,19})\\b')" -%}
    select
        if(fault is null, raw_text, substr(raw_text, 1, 65536)) as raw_text,
        if(fault is null and parsed is null, 'malformed JSON', fault) as fault,
        case
            when fault is null and parsed is not null then json_value(parsed, '$.offset')
            when array_length({{ shown }}) = 1 then {{ shown }}[safe_offset(0)]
        end as offset_text,
        if(fault is null, parsed, null) as parsed,
        object_name,
        kafka_partition,
        stream_epoch,
        bucket_ingestion_datetime
    from (
        select *, if(fault is null, {{ parse_json('raw_text') }}, null) as parsed
        from (
            select
                concat(regexp_replace(lines.line, '^\ufeff', ''), coalesce(concat('\x01', lines.rest), '')) as raw_text,
                case
                    when lines.rest is not null then 'malformed JSON'
                    when byte_length(lines.line) > 16777216 then 'line longer than 16 MiB'
                end as fault,
                objects.object_name,
                objects.kafka_partition,
                objects.stream_epoch,
                objects.bucket_ingestion_datetime
            from {{ source }} as lines
            inner join {{ inventory() }} as objects on lines._file_name = objects.uri
            where {{ in_window('lines.`date`') }}
                and objects.topic = '{{ topic }}'
                and {{ in_window('objects.bucket_ingestion_datetime') }}
        ) as named
        where trim(raw_text, ' \t\r') != ''
    ) as parsed_lines
{%- endmacro %}

{# A text's JSON on BigQuery, null if it is none. Numbers beyond a double, which it refuses though RFC 8259 has them, become text. #}
{% macro parse_json(text) -%}
    {%- set wide = '-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?[eE][+]?[0-9]{3,}|-?[1-9][0-9]{307,}(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?' -%}
    coalesce(
        safe.parse_json({{ text }}, wide_number_mode => 'round'),
        safe.parse_json(regexp_replace({{ text }}, r'(^|[:\[,])([ \t]*)({{ wide }})', r'\1\2"\3"'), wide_number_mode => 'round')
    )
{%- endmacro %}

{# The text of a JSON value on BigQuery: of an object or an array how it is written, of null none. #}
{% macro json_text(value) -%}
    coalesce(json_value({{ value }}), if(json_type({{ value }}) in ('object', 'array'), to_json_string({{ value }}), null))
{%- endmacro %}

{#
    Post-hook of base models: objects with a row in quarantine, and those that the fast way can't read, are read carefully,
    and their rows take the place of what was read of them. Nothing to do in most runs.
#}
{% macro read_carefully() %}{{ return(adapter.dispatch('read_carefully')()) }}{% endmacro %}
{% macro bigquery__read_carefully() %}{{ return('') }}{% endmacro %}
{% macro default__read_carefully() %}
    {%- if not execute -%}{{ return('') }}{%- endif -%}
    {%- set topic = this.identifier | replace('base_', '', 1) -%}
    {%- if topic not in var('event_types') -%}{{ return('') }}{%- endif -%}
    {%- set suspects -%}
        {{ readable_objects(topic) }} and lines_uri is null
        and object_name in (select object_name from {{ this }} where disposition = 'quarantined' and raw_text is null)
    {%- endset -%}
    {%- set some = set_variable(topic ~ '_suspects', 'uri', suspects) -%}
    {%- set careful = set_variable(topic ~ '_careful', 'lines_uri', readable_objects(topic) ~ ' and lines_uri is not null') -%}
    {%- if not some and not careful -%}{{ return('') }}{%- endif -%}
    {%- if some %}
    delete from {{ this }}
    where object_name in (select object_name from {{ this }} where disposition = 'quarantined' and raw_text is null);
    {%- endif %}
    insert into {{ this }}
    {{ judged_events(topic, extracted_lines(topic, careful_lines(topic, some, careful))) }}
{% endmacro %}

{# The fields' texts of lines that `careful_lines` gives. #}
{% macro extracted_lines(topic, lines) %}
    {%- set fields = fields_of(topic) -%}
    {%- set paths = [] -%}
    {%- for field in fields %}{% do paths.append("'$.value.\"" ~ field.name | replace('.', '"."') ~ "\"'") %}{% endfor -%}
    select
        raw_text,
        fault,
        case when parsed is not null then coalesce(json_type(parsed, '$.value') = 'OBJECT', false) end as is_object,
        coalesce(json_extract_string(parsed, '$.offset'), offset_text) as offset_text,
        object_name,
        kafka_partition,
        stream_epoch,
        bucket_ingestion_datetime
        {%- for field in fields %},
        texts[{{ loop.index }}] as {{ field.column }}_text
        {%- if field.type == 'string' %},
        coalesce(kinds[{{ loop.index }}] in ('OBJECT', 'ARRAY'), false) as {{ field.column }}_is_nested
        {%- endif %}
        {%- endfor %}
    from (
        select
            *,
            json_extract_string(parsed, [{{ paths | join(', ') }}]) as texts,
            json_type(parsed, [{{ paths | join(', ') }}]) as kinds
        from ({{ lines }}) as lines
    ) as extracted
{% endmacro %}

{#
    Lines as text and as JSON (null if malformed), of the objects in the variable `<topic>_suspects` and of the files that the
    project's reader left, in `<topic>_careful`. Columns: raw_text, fault, offset_text (of a line that is no JSON), parsed,
    object_name, kafka_partition, stream_epoch, bucket_ingestion_datetime.

    Objects are read as lines of text. No column ends within a line: what separates columns is nothing that JSON can hold.
#}
{% macro careful_lines(topic, suspects, careful) %}
    select
        lines.line as raw_text,
        lines.fault,
        lines.offset_text,
        case when lines.fault is null and json_valid(lines.line) then cast(lines.line as json) end as parsed,
        objects.object_name,
        objects.kafka_partition,
        objects.stream_epoch,
        objects.bucket_ingestion_datetime
    from (
        {%- if suspects %}
        select filename as uri, line, cast(null as varchar) as fault, cast(null as varchar) as offset_text
        from read_csv(
            getvariable('{{ topic }}_suspects'),
            columns = {'line': 'VARCHAR'},
            auto_detect = false, header = false, delim = chr(2) || chr(0) || chr(3) || chr(1), quote = '', escape = '',
            compression = 'gzip', new_line = '\n', strict_mode = false, max_line_size = 16777216, filename = true, hive_partitioning = false
        )
        {%- endif %}
        {%- if suspects and careful %}
        union all
        {%- endif %}
        {%- if careful %}
        select uri, line, fault, offset_text
        from read_parquet(getvariable('{{ topic }}_careful'), hive_partitioning = false)
        {%- endif %}
        {%- if not suspects and not careful %}
        select
            cast(null as varchar) as uri,
            cast(null as varchar) as line,
            cast(null as varchar) as fault,
            cast(null as varchar) as offset_text
        where false
        {%- endif %}
    ) as lines
    inner join {{ inventory() }} as objects on lines.uri = objects.uri
    where {{ in_window('objects.bucket_ingestion_datetime') }}
{% endmacro %}

{# The inventory's objects of a topic and the window's hours that hold rows. #}
{% macro readable_objects(topic) -%}
    from {{ inventory() }}
    where topic = '{{ topic }}' and row_count > 0 and {{ in_window('bucket_ingestion_datetime') }}
{%- endmacro %}

{#
    Sets a variable of the session to a column's addresses, in order; whether there are any. Without a warehouse there are.
    Addresses are read as patterns: what would be a wildcard stands for itself.
#}
{% macro set_variable(name, column, rows) %}
    {% if var('event_days', none) is not none %}{{ return(true) }}{% endif %}
    {% if run_query('select count(*) ' ~ rows).rows[0][0] == 0 %}{{ return(false) }}{% endif %}
    {% set address = 'regexp_replace(' ~ column ~ ", '([*?[])', '[\\1]', 'g')" %}
    {% do run_query('set variable ' ~ name ~ ' = (select list(distinct ' ~ address ~ ' order by ' ~ address ~ ') ' ~ rows ~ ')') %}
    {{ return(true) }}
{% endmacro %}

{# DuckDB's type of an object of texts; a dot in a name leads into a nested one. #}
{% macro struct_of(names) -%}
    struct(
    {%- set heads = [] -%}
    {%- for name in names %}{% if name.split('.')[0] not in heads %}{% do heads.append(name.split('.')[0]) %}{% endif %}{% endfor -%}
    {%- for head in heads -%}
        {%- set inner = [] -%}
        {%- for name in names if name.startswith(head ~ '.') %}{% do inner.append(name[head | length + 1:]) %}{% endfor -%}
        "{{ head }}" {% if inner %}{{ struct_of(inner) }}{% else %}varchar{% endif %}{{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{# The structure of a record whose value has these fields, as DuckDB's json_transform takes it: all are text. #}
{% macro json_structure_of(names) -%}
    {"value":{{ json_fields_of(names) }},"offset":"VARCHAR"}
{%- endmacro %}

{% macro json_fields_of(names) -%}
    {
    {%- set heads = [] -%}
    {%- for name in names %}{% if name.split('.')[0] not in heads %}{% do heads.append(name.split('.')[0]) %}{% endif %}{% endfor -%}
    {%- for head in heads -%}
        {%- set inner = [] -%}
        {%- for name in names if name.startswith(head ~ '.') %}{% do inner.append(name[head | length + 1:]) %}{% endfor -%}
        "{{ head }}":{% if inner %}{{ json_fields_of(inner) }}{% else %}"VARCHAR"{% endif %}{{ ',' if not loop.last }}
    {%- endfor -%}
    }
{%- endmacro %}
