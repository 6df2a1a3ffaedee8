{#
    How incremental models change their tables. A model's config names in `replaces` the rows that its select gives anew;
    the select is computed first, then those rows leave and its rows enter in one atomic act: a run that dies leaves a table
    as it was or as it shall be. `replaces` is the text of a Jinja expression that is rendered when the model runs, since
    runs with other vars share one parsed project. Without it rows only enter; a first build replaces nothing.

    `scope` says what `replaces` looks at: 'partitions' is a predicate on the partition column in literals; 'rows' may ask
    other tables, too, and calls the table's row `replaced` where a bare column could be another's.
#}
{% macro replacing(scope) %}{{ return(adapter.dispatch('replacing')(scope)) }}{% endmacro %}
{% macro default__replacing(scope) %}{{ return('replace') }}{% endmacro %}
{# A MERGE prunes by literals, but takes no subquery in its conditions. #}
{% macro bigquery__replacing(scope) %}
    {{ return({'partitions': 'insert_overwrite', 'rows': 'merge'}[scope]) }}
{% endmacro %}

{# The predicate of the rows that the running model replaces; none if it only adds. #}
{% macro replaced_rows() %}
    {%- set predicate = config.get('replaces') -%}
    {{ return(render(predicate) if predicate else none) }}
{% endmacro %}

{# Deletes and inserts, for a transaction. #}
{% macro replace_rows(target_relation, temp_relation, dest_columns) %}
    {%- set predicate = replaced_rows() -%}
    {%- if predicate %}
    delete from {{ target_relation }} as replaced
    where {{ predicate }};
    {%- endif %}
    {{ get_insert_into_sql(target_relation, temp_relation, dest_columns) }};
{% endmacro %}

{# dbt-duckdb runs a model in one transaction, and finds the strategy `replace` by this name. #}
{% macro get_incremental_replace_sql(arguments) %}
    {{ return(replace_rows(arguments['target_relation'], arguments['temp_relation'], arguments['dest_columns'])) }}
{% endmacro %}
