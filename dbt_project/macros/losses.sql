{#
    What dbt is asked for by hand must leave no table with fewer rows than the lake gives. A run is refused that would: an hour's
    rows are replaced by what tables of the run's own (base_*, int_*) hold, so these must be of the same hours.
#}

{# At the start of each run. #}
{% macro refuse_losses() %}
    {% if not execute or flags.WHICH not in ('run', 'build') %}{{ return('') }}{% endif %}
    {% if flags.EMPTY %}
        {{ exceptions.raise_compiler_error('--empty would replace hours by nothing: `dbt compile` tells whether models compile') }}
    {% endif %}
    {% if flags.FULL_REFRESH %}{% do refuse_partial_rebuild() %}{% endif %}
    {% do window() %}
    {% do refuse_hours_of_another_run() %}
{% endmacro %}

{% macro refuse_partial_rebuild() %}
    {% if target.type == 'bigquery' %}
        {{ exceptions.raise_compiler_error(
            '--full-refresh would lose what has left the lake or staging for good. Run the hours again without it: they are '
            ~ 'replaced; a span by --vars (window_start, window_end)'
        ) }}
    {% endif %}
    {% if window_is_given() %}
        {{ exceptions.raise_compiler_error(
            '--full-refresh with a window would leave the tables with its hours alone. Leave window_start and window_end out to '
            ~ 'rebuild all hours, or --full-refresh to replace those of the window'
        ) }}
    {% endif %}
{% endmacro %}

{% macro refuse_hours_of_another_run() %}
    {% set foreign = {} %}
    {% for name in selected_resources if name in graph.nodes and graph.nodes[name].config.materialized in ('table', 'scratch', 'incremental') %}
        {% for parent in graph.nodes[name].depends_on.nodes if is_of_a_run(parent) and parent not in selected_resources %}
            {% do foreign.setdefault(parent.split('.')[-1], []).append(graph.nodes[name].name) %}
        {% endfor %}
    {% endfor %}
    {% if not foreign %}{{ return('') }}{% endif %}
    {% set remembered = remembered_hours() %}
    {% for parent, children in foreign.items() if remembered.get(parent) != hours_to_remember() %}
        {{ exceptions.raise_compiler_error(
            children[0] ~ ' is made of ' ~ parent ~ ', which is not selected and holds what another run left (of '
            ~ (remembered.get(parent) or 'hours unknown') ~ '; this one: ' ~ hours_to_remember() ~ '). Select it, too: --select +'
            ~ children[0] ~ '; or all models, without --select; instead of `retry` run the command itself again'
        ) }}
    {% endfor %}
{% endmacro %}

{# Whether a node is a model that only holds a run's work. #}
{% macro is_of_a_run(node) %}
    {{ return(node.startswith('model.') and node.split('.')[-1].startswith(('base_', 'int_'))) }}
{% endmacro %}

{# What a run's own tables are marked with. A rebuild's hold more: there is no state that some could leave out. #}
{% macro hours_to_remember() %}
    {{ return(window() | join(' to before ') ~ (' rebuilt' if flags.FULL_REFRESH else '')) }}
{% endmacro %}

{# Post-hook of a run's own tables. On BigQuery it would be one more job a table: there they must be selected. #}
{% macro remember_hours() %}{{ return(adapter.dispatch('remember_hours')()) }}{% endmacro %}
{% macro default__remember_hours() -%}comment on table {{ this }} is '{{ hours_to_remember() }}'{%- endmacro %}
{% macro bigquery__remember_hours() %}{{ return('') }}{% endmacro %}

{# Those marks, by table. #}
{% macro remembered_hours() %}{{ return(adapter.dispatch('remembered_hours')()) }}{% endmacro %}
{% macro default__remembered_hours() %}
    {% set remembered = {} %}
    {% for row in run_query("select table_name, comment from duckdb_tables() where schema_name = '" ~ target.schema ~ "'").rows %}
        {% do remembered.update({row[0]: row[1]}) %}
    {% endfor %}
    {{ return(remembered) }}
{% endmacro %}
{% macro bigquery__remembered_hours() %}{{ return({}) }}{% endmacro %}
