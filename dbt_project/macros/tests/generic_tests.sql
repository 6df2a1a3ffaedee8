{# The project's own generic tests. Each looks at what the run concerns, not at all of history: see get_where_subquery. #}

{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{# One pass for all columns of a model that must have a value. #}
{% test never_null(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {% for column in columns %}{{ column }} is null{% if not loop.last %} or {% endif %}{% endfor %}
{% endtest %}

{% test at_least(model, column_name, minimum, inclusive=true) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} {{ '<' if inclusive else '<=' }} {{ minimum }}
{% endtest %}
