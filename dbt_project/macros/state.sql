{#
    A table as earlier runs left it, for a model that this very table is built from later in the run (a ref would be
    a cycle); none on the first build and on a full refresh.
#}
{% macro state_of(identifier) %}
    {% if not execute or flags.FULL_REFRESH or var('event_days', none) is not none %}{{ return(none) }}{% endif %}
    {{ return(adapter.get_relation(database=target.database, schema=target.schema, identifier=identifier)) }}
{% endmacro %}

{# A model's table by name, for macros that tests use as well: a test may not ref what it does not test. #}
{% macro table(identifier) %}
    {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=identifier)) }}
{% endmacro %}
