{#
    Macros of dbt and its adapters that the project puts its own in place of. Nothing else does; a test holds this list, and
    each macro to the one that it stands in for, so that a new version of dbt is looked at.
#}

{#
    Which rows a test looks at, in the way that dbt documents for bounds known only when it runs
    (https://docs.getdbt.com/reference/resource-configs/where#custom-logic): `where` may name them. README.md lists the names.
    Anything but a word is SQL, as ever.
#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where') -%}
    {%- if not where or not execute -%}{{ return(relation) }}{%- endif -%}
    {%- if where == 'window' -%}{%- set where = in_window('bucket_ingestion_datetime') -%}
    {%- elif where == 'mart_days' -%}{%- set where = replaced_days() -%}
    {%- elif where == 'session_days' -%}{%- set where = in_days('session_start_datetime', session_days()) -%}
    {%- elif where.startswith('events_of_') -%}
        {%- set days = event_days(where | replace('events_of_', '')) -%}
        {%- set where = in_days('event_datetime', days) ~ ' and ' ~ in_window('bucket_ingestion_datetime') -%}
    {%- elif modules.re.match('^\\w+$', where) -%}
        {{ exceptions.raise_compiler_error("where: '" ~ where ~ "' is neither SQL nor window, mart_days, session_days, events_of_<staging model>") }}
    {%- endif -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as ' ~ relation.identifier ~ '_concerned') }}
{%- endmacro %}

{#
    How rows of a table of BigQuery are replaced. There is no documented way: dbt-bigquery takes no strategy but its own
    (https://github.com/dbt-labs/dbt-adapters/issues/2167), and these take partitions from the config as it was parsed, or keys.
    The temporary relation exists: `on_schema_change: fail` has dbt compute the select first.
#}
{% macro bq_generate_incremental_build_sql(
    strategy, tmp_relation, target_relation, sql, unique_key, partition_by, partitions, dest_columns,
    tmp_relation_exists, copy_partitions, incremental_predicates
) %}
    {%- if strategy == 'insert_overwrite' -%}
    {{ return(get_insert_overwrite_merge_sql(
        target_relation, '(select * from ' ~ tmp_relation ~ ')', dest_columns, [replaced_rows()]
    )) }}
    {%- endif -%}
    begin transaction;
    {{ replace_rows(target_relation, tmp_relation, dest_columns) }}
    commit transaction;
{% endmacro %}
