{# What dbt brings along, as far as the runner has it. A macro of the project with the same name wins. #}

{% macro is_incremental() %}{{ return(_is_incremental) }}{% endmacro %}

{# True where the row of `alias` belongs to a group that changed since the published build. The runner has these groups
   as `silver.changed_groups`. In parentheses, as DataFusion's parser takes what follows AND into the comparison. #}
{% macro changed(alias) -%}
exists (
    select 1 from silver.changed_groups as touched
    where {% for column in config.require('changed_by') -%}
        {{ ' and ' if not loop.first else '' }}(touched.{{ column }} is not distinct from {{ alias }}.{{ column }})
    {%- endfor %}
)
{%- endmacro %}

{% test unique(model, column_name) %}
select {{ column_name }} as unique_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endtest %}

{% test not_null(model, column_name) %}
select * from {{ model }}
where {{ column_name }} is null
{% endtest %}

{% test accepted_values(model, column_name, values, quote=true) %}
select {{ column_name }} as value_field, count(*) as n_records
from {{ model }}
where {{ column_name }} is not null and {{ column_name }} not in (
    {% for value in values %}{{ "'" ~ (value | string | replace("'", "''")) ~ "'" if quote else value }}{{ ", " if not loop.last else "" }}{% endfor %}
)
group by {{ column_name }}
{% endtest %}

{% test relationships(model, column_name, to, field) %}
select child.{{ column_name }} as from_field
from {{ model }} as child
left join {{ to }} as parent on child.{{ column_name }} = parent.{{ field }}
where child.{{ column_name }} is not null and parent.{{ field }} is null
{% endtest %}

{% macro concat(fields) %}{{ fields | join(' || ') }}{% endmacro %}
{% macro type_string() %}varchar{% endmacro %}
{% macro type_int() %}int{% endmacro %}
{% macro type_bigint() %}bigint{% endmacro %}
{% macro type_float() %}double{% endmacro %}
{% macro type_numeric() %}decimal(28, 6){% endmacro %}
{% macro type_boolean() %}boolean{% endmacro %}
{% macro type_timestamp() %}timestamp{% endmacro %}
{% macro date_trunc(datepart, date) %}date_trunc('{{ datepart }}', {{ date }}){% endmacro %}
{% macro except() %}except{% endmacro %}
{% macro intersect() %}intersect{% endmacro %}
{% macro string_literal(value) %}'{{ value | string | replace("'", "''") }}'{% endmacro %}
