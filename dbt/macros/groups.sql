{#-
Whether two rows are of the same group, null being a group of its own. Every column is compared by IS NOT DISTINCT FROM,
the ones that are never null too: DataFusion then makes one hash join of it, and only then. The parentheses are needed
there: its parser takes what follows AND into the comparison.
-#}
{% macro same_group(left, right, columns) -%}
    {%- for column in columns -%}
        ({{ left }}.{{ column }} is not distinct from {{ right }}.{{ column }}){% if not loop.last %} and {% endif %}
    {%- endfor -%}
{%- endmacro %}
