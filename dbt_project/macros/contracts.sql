{#
    The contracts of event types as macros see them: tables of the source `external`, in models/sources/. dbt knows its graph
    only when it runs a model; while it parses there are none.
#}

{# The source's node whose contract is of a topic, or whose table has a name. #}
{% macro contract_of(topic=none, table=none) %}
    {% for node in graph.sources.values() if node.meta.contract is defined %}
        {% if node.meta.contract.topic == topic or node.name == table %}{{ return(node) }}{% endif %}
    {% endfor %}
    {{ exceptions.raise_compiler_error('models/sources/ has no contract of ' ~ (topic or table)) }}
{% endmacro %}

{# The fields of a topic that models read, in order: name, column, type, required, check, minimum, maximum, time, earliest. #}
{% macro fields_of(topic) %}
    {% set fields = [] %}
    {% for column in contract_of(topic).columns.values() if column.meta.column is defined %}
        {% do fields.append(dict(column.meta, name=column.name, type=column.data_type)) %}
    {% endfor %}
    {{ return(fields) }}
{% endmacro %}

{# Which rows a topic's contract lets be staged: field, its column, and the values to keep; none if it takes all. #}
{% macro filter_of(topic) %}
    {% set filter = contract_of(topic).meta.contract.filter if execute %}
    {% if not filter %}{{ return(none) }}{% endif %}
    {% set column = fields_of(topic) | selectattr('name', 'equalto', filter.field) | map(attribute='column') | first %}
    {{ return(dict(filter, column=column)) }}
{% endmacro %}

{# Texts as a list of literals. #}
{% macro text_literals(values) -%}
    {%- for value in values %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{# Columns of the fields that name an event. #}
{% macro identity_columns(topic) %}
    {% set columns = [] %}
    {% for name in contract_of(topic).meta.contract.identity %}
        {% do columns.append(fields_of(topic) | selectattr('name', 'equalto', name) | map(attribute='column') | first) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{# Columns of all other fields, by which copies of one event may differ. #}
{% macro content_columns(topic) %}
    {{ return(fields_of(topic) | map(attribute='column') | reject('in', identity_columns(topic)) | list) }}
{% endmacro %}

{# The topic whose contract makes a source, by its relation. #}
{% macro topic_of(source) %}{{ return(contract_of(table=source.identifier).meta.contract.topic) }}{% endmacro %}

{# Topic of the records that the sink could not write. #}
{% macro dead_letter_topic() %}
    {% if execute %}
        {% for node in graph.sources.values() if node.meta.dead_letters is defined %}{{ return(node.meta.dead_letters.topic) }}{% endfor %}
    {% endif %}
{% endmacro %}
