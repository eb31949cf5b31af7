{#-
One row for each whole number from `low` up to but not including `high`, as a column of a select list. Rows must have
low < high: Spark's sequence would count backwards.
-#}
{% macro each_from(low, high) -%}
    {{ adapter.dispatch('each_from', 'streamreel')(low, high) }}
{%- endmacro %}

{% macro default__each_from(low, high) -%}
    unnest(range({{ low }}, {{ high }}))
{%- endmacro %}

{% macro spark__each_from(low, high) -%}
    explode(sequence({{ low }}, {{ high }} - 1))
{%- endmacro %}
