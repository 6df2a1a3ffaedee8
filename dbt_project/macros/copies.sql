{#
    A base model's staged rows with `event_id`, each event of an ingestion hour once, and how many `copies` of it the hour holds.
    Which of them stands for all is told by a total order, so that it depends on the hour's rows alone. Few have copies, so
    these are looked for, and all others left as they are.
#}
{% macro folded_rows(topic, base, identity=none, before='') -%}
    {%- if not execute -%}{{ return('select 1 as one') }}{%- endif -%}
    {%- set same = ['bucket_ingestion_datetime'] + (identity or identity_columns(topic)) -%}
    {%- set repeated -%}
        (
            select
                {{ same | join(', ') }},
                count(*) as copies
            from {{ base }}
            where disposition = 'staged'
            group by {{ same | join(', ') }}
            having count(*) > 1
        ) as repeated using ({{ same | join(', ') }})
    {%- endset -%}
    select
        given.*,
        {{ event_key(topic) }} as event_id,
        1 as copies
    from {{ base }} as given
    left join {{ repeated }}
    where given.disposition = 'staged' and repeated.copies is null
    union all
    select
        given.*,
        {{ event_key(topic) }} as event_id,
        repeated.copies
    from {{ base }} as given
    inner join {{ repeated }}
    where given.disposition = 'staged'
    qualify
        row_number() over (
            partition by {{ same | join(', ') }}
            order by
                {{ before }}coalesce(stream_epoch, ''), kafka_partition, kafka_offset nulls last
                {%- for column in content_columns(topic) %}, {{ column }} nulls last{% endfor %}
        ) = 1
{%- endmacro %}

{# The order in which a user's records of several ingestion hours count: the earliest, of its copies the first to arrive. #}
{% macro first_record(records) -%}
    {{ records }}.event_datetime, {{ records }}.event_id, {{ records }}.bucket_ingestion_datetime
{%- endmacro %}
