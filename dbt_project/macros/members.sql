{#
    Dimensions that hold the reference's rows and an inferred member for whatever else events name. They replace members
    that the reference describes otherwise by now, and add what is missing.
#}
{% macro outdated_members(reference, key, attributes) -%}
    {{ key }} in (
        select reference.{{ key }}
        from {{ ref(reference) }} as reference
        inner join {{ this }} as member on reference.{{ key }} = member.{{ key }}
        where member.is_inferred
            {%- for attribute in attributes %}
            or member.{{ attribute }} is distinct from reference.{{ attribute }}
            {%- endfor %}
    )
{%- endmacro %}

{# Members that the table lacks, or will lack once what the model replaces is gone. #}
{% macro missing_members(members, key) -%}
    {{ members }}
    {%- if is_incremental() %}
where {{ key }} not in (select {{ key }} from {{ this }}){% if replaced_rows() %} or {{ replaced_rows() }}{% endif %}
    {%- endif %}
{%- endmacro %}
