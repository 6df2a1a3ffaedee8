{#
    What an hour's rows of a topic say in each field that models read: how many rows lack it, have a value that the contract
    does not know, which range its numbers have, and of how many events the copies differ in it.

    All fields are counted in one pass over the base model, to one row an hour, which then becomes a row a field.
#}

{# The known values of a field; none if any will do. The contract lists them, or names a var that does, by category. #}
{% macro values_of(field) %}
    {% set told = field.get('values') %}
    {% if told is none or told is not string %}{{ return(told) }}{% endif %}
    {% set known = [] %}
    {% for listed in var(told).values() %}{% do known.extend(listed) %}{% endfor %}
    {{ return(known) }}
{% endmacro %}

{# `same`: the columns by whose values rows are copies of one event, if not by the contract's identity. #}
{% macro field_profile(topic, base, same=none) %}
    {%- if not execute -%}{{ return('select 1 as one') }}{%- endif -%}
    {%- set fields = fields_of(topic) -%}
    {%- set filter = filter_of(topic) -%}
    {%- set same = same or identity_columns(topic) -%}
    {%- set contents = content_columns(topic) | reject('in', same) | list -%}
    {%- set listed = [] -%}
    {%- for field in fields if values_of(field) %}{% do listed.append(field.column) %}{% endfor -%}
    {%- set numbers = fields | selectattr('type', 'equalto', 'number') | map(attribute='column') | list -%}
    select
        '{{ topic }}' as topic,
        figures.bucket_ingestion_datetime,
        fields.field,
        {{ figure_of(fields, 'rows') }} as row_count,
        {{ figure_of(fields, 'nulls') }} as null_count,
        coalesce({{ figure_of(fields, 'unknown', listed, dbt.type_bigint()) }}, 0) as unknown_count,
        {{ figure_of(fields, 'value', listed, dbt.type_string()) }} as unknown_value,
        {{ figure_of(fields, 'lowest', numbers, decimal_type()) }} as lowest,
        {{ figure_of(fields, 'highest', numbers, decimal_type()) }} as highest,
        {{ figure_of(fields, 'mean', numbers, decimal_type()) }} as mean,
        coalesce({{ figure_of(fields, 'differing', contents, dbt.type_bigint()) }}, 0) as differing_events
    from (
        select
            bucket_ingestion_datetime
            {%- for field in fields %}
            {%- set of_all = filter and filter.field == field.name -%}
            {%- set rows = "disposition = 'staged'" if not of_all else "disposition <> 'quarantined'" -%}
            {%- if field.usual and field.usual.where %}{% set rows = rows ~ ' and (' ~ field.usual.where ~ ')' %}{% endif %},
            count(case when {{ rows }} then 1 end) as {{ field.column }}_rows,
            count(case when {{ rows }} and {{ field.column }} is null then 1 end) as {{ field.column }}_nulls
            {%- if field.column in listed %}
            {%- set unknown = rows ~ ' and ' ~ field.column ~ ' not in (' ~ text_literals(values_of(field)) ~ ')' %},
            count(case when {{ unknown }} then 1 end) as {{ field.column }}_unknown,
            min(case when {{ unknown }} then {{ field.column }} end) as {{ field.column }}_value
            {%- endif %}
            {%- if field.column in numbers %}
            {%- for figure, function in (('lowest', 'min'), ('highest', 'max'), ('mean', 'avg')) %},
            cast(round({{ function }}(case when {{ rows }} then {{ field.column }} end), 4) as {{ decimal_type() }}) as {{ field.column }}_{{ figure }}
            {%- endfor %}
            {%- endif %}
            {%- endfor %}
        from {{ base }}
        group by bucket_ingestion_datetime
    ) as figures
    {%- if contents %}
    left join (
        select
            bucket_ingestion_datetime
            {%- for column in contents %},
            count(case when {{ column }}_differs then 1 end) as {{ column }}_differing
            {%- endfor %}
        from (
            select
                copies.bucket_ingestion_datetime
                {%- for column in contents %},
                min(copies.{{ column }}) <> max(copies.{{ column }})
                or count(copies.{{ column }}) between 1 and count(*) - 1 as {{ column }}_differs
                {%- endfor %}
            from {{ base }} as copies
            inner join (
                select
                    bucket_ingestion_datetime,
                    {{ same | join(', ') }}
                from {{ base }}
                where disposition = 'staged'
                group by bucket_ingestion_datetime, {{ same | join(', ') }}
                having count(*) > 1
            ) as repeated
                on copies.bucket_ingestion_datetime = repeated.bucket_ingestion_datetime
                {%- for column in same %}
                and copies.{{ column }} = repeated.{{ column }}
                {%- endfor %}
            where copies.disposition = 'staged'
            group by copies.bucket_ingestion_datetime{% for column in same %}, copies.{{ column }}{% endfor %}
        ) as events
        group by bucket_ingestion_datetime
    ) as differences on figures.bucket_ingestion_datetime = differences.bucket_ingestion_datetime
    {%- endif %}
    cross join (
        {%- for field in fields %}
        select '{{ field.name }}' as field{{ ' union all' if not loop.last }}
        {%- endfor %}
    ) as fields
{% endmacro %}

{# The figure of the row's field; null, as a `type`, for one that is not among `columns`, if these are named. #}
{% macro figure_of(fields, figure, columns=none, type=none) -%}
    {%- set having = fields if columns is none else fields | selectattr('column', 'in', columns) | list -%}
    {%- if having -%}
    case fields.field{% for field in having %} when '{{ field.name }}' then {{ field.column }}_{{ figure }}{% endfor %} end
    {%- else -%}
    cast(null as {{ type }})
    {%- endif -%}
{%- endmacro %}
