{#
    Rows of one ingestion hour that are the same event: the one that stands for all of them, and how many they are.
    The order is total, so that the choice depends on the hour's rows alone.
#}

{% macro copies(identity='event_id') -%}
    count(*) over (partition by bucket_ingestion_datetime, {{ identity }})
{%- endmacro %}

{% macro first_copy(topic, identity='event_id', before='') -%}
    {%- set content = content_columns(topic) if execute else [] -%}
qualify
    row_number() over (
        partition by bucket_ingestion_datetime, {{ identity }}
        order by
            {{ before }}coalesce(stream_epoch, ''), kafka_partition, kafka_offset nulls last
            {%- for column in content %}, {{ column }} nulls last{% endfor %}
    ) = 1
{%- endmacro %}

{# The order in which a user's records of several ingestion hours count: the earliest, of its copies the first to arrive. #}
{% macro first_record(records) -%}
    {{ records }}.event_datetime, {{ records }}.event_id, {{ records }}.bucket_ingestion_datetime
{%- endmacro %}
