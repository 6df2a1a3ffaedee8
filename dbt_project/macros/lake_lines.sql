{#
    DuckDB only: the lines of a topic's objects in the window's hours, as text and as JSON (null if malformed).

    Objects are read as lines of text, so that a malformed line keeps its bytes; a line ends at \n, \r\n or \r, as the
    inventory counts them. No column ends within a line: what separates columns is nothing that JSON can hold. The inventory names the objects of the
    window's hours that can be read: no folder of another hour is opened, however long the history.
#}
{% macro lake_lines(topic) %}
    {%- set readable -%}
        from {{ table('lake_objects') }}
        where topic = '{{ topic }}' and row_count > 0 and {{ in_window('bucket_ingestion_datetime') }}
    {%- endset -%}
    {%- set offline = var('event_days', none) is not none -%}
    {%- set found = offline or (execute and run_query('select count(*) ' ~ readable).rows[0][0] > 0) -%}
    {%- if found and not offline -%}
        {#- Addresses are read as patterns: what would be a wildcard stands for itself. -#}
        {%- do run_query('set variable ' ~ topic ~ '_objects = (select list(regexp_replace(uri, \'([*?[])\', \'[\\1]\', \'g\') order by uri) ' ~ readable ~ ')') -%}
    {%- endif -%}
    select
        lines.line as raw_text,
        case when json_valid(lines.line) then cast(lines.line as json) end as parsed,
        objects.object_name,
        objects.kafka_partition,
        objects.life,
        objects.bucket_ingestion_datetime
    from {% if found -%}
    read_csv(
        getvariable('{{ topic }}_objects'),
        columns = {'line': 'VARCHAR'},
        auto_detect = false, header = false, delim = chr(2) || chr(0) || chr(3) || chr(1), quote = '', escape = '',
        compression = 'gzip', new_line = '\n', strict_mode = false, max_line_size = 16777216, filename = true
    ) as lines
    {%- else -%}
    (select cast(null as varchar) as filename, cast(null as varchar) as line where false) as lines
    {%- endif %}
    inner join {{ table('lake_objects') }} as objects on lines.filename = objects.uri
    where {{ in_window('objects.bucket_ingestion_datetime') }} and trim(lines.line, ' ' || chr(9)) <> ''
{% endmacro %}
