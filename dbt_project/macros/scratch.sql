{#
    A table that only holds a run's work (base_*, int_*), on DuckDB: replaced in one statement. dbt-duckdb's `table` builds
    another one beside it, renames both and looks for indexes and keys: nine statements, each dearer than an hour's rows.
#}
{% materialization scratch, adapter='duckdb' %}
    {% set relation = this.incorporate(type='table') %}
    {{ run_hooks(pre_hooks) }}
    {% call statement('main') %}
    create or replace table {{ relation }} as ({{ compiled_code }})
    {% endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
