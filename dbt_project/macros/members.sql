{#
    Dimensions that hold the reference's rows and an inferred member for whatever else events name. The pre-hook takes
    out members that the reference describes otherwise by now; the model adds what is missing.
#}
{% macro replace_outdated(reference, key, attributes) %}
    {%- set differs -%}
        {{ key }} in (
            select reference.{{ key }}
            from {{ ref(reference) }} as reference
            inner join {{ this }} as member on reference.{{ key }} = member.{{ key }}
            where member.is_inferred
                {%- for attribute in attributes %}
                or member.{{ attribute }} is distinct from reference.{{ attribute }}
                {%- endfor %}
        )
    {%- endset -%}
    {{ return(replace_where(differs)) }}
{% endmacro %}

{% macro missing_members(members, key) -%}
    {{ members }}
    {%- if is_incremental() %} where {{ key }} not in (select {{ key }} from {{ this }}){% endif %}
{%- endmacro %}
