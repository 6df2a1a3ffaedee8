{#
    Dimensions that hold the reference's rows and an inferred member for whatever else events name. They replace members that
    the reference describes otherwise by now, and those of which events name a lesser spelling, and add what is missing.
#}
{% macro outdated_members(reference, named, key, attributes, spellings) -%}
    {{ key }} in (
        select reference.{{ key }}
        from {{ ref(reference) }} as reference
        inner join {{ this }} as member on reference.{{ key }} = member.{{ key }}
        where member.is_inferred
            {%- for attribute in attributes %}
            or member.{{ attribute }} is distinct from reference.{{ attribute }}
            {%- endfor %}
        union all
        select named.{{ key }}
        from {{ ref(named) }} as named
        inner join {{ this }} as member on named.{{ key }} = member.{{ key }}
        where member.is_inferred and (
            {%- for spelling in spellings %}
            coalesce(member.{{ spelling }}, '') <> coalesce({{ least_of('member.' ~ spelling, 'named.' ~ spelling) }}, '')
            {{- ' or' if not loop.last }}
            {%- endfor %}
        )
    )
{%- endmacro %}

{# What is known of a named member, beside it; nothing on a first build. #}
{% macro join_known(key) -%}
    {% if is_incremental() %}left join {{ this }} as known on named.{{ key }} = known.{{ key }} and known.is_inferred{% endif %}
{%- endmacro %}

{# The least spelling of a named member, of those known and those that the run brings. #}
{% macro least_spelling(attribute) -%}
    {% if is_incremental() %}{{ least_of('known.' ~ attribute, 'named.' ~ attribute) }}{% else %}named.{{ attribute }}{% endif %}
{%- endmacro %}

{# Members that the table lacks, or will lack once what the model replaces is gone. #}
{% macro missing_members(members, key) -%}
    {{ members }}
    {%- if is_incremental() %}
where {{ key }} not in (select {{ key }} from {{ this }}){% if replaced_rows() %} or {{ replaced_rows() }}{% endif %}
    {%- endif %}
{%- endmacro %}
