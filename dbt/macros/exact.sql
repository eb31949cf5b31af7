{#-
Sums and averages of doubles that depend neither on the order of rows nor on the engine. A sum of doubles does: its
last digits follow the order of addition. So each value is rounded to 1e-9 and summed as a whole number of billionths.
Every step is exact or the same IEEE operation everywhere; the only rounding beyond the first is the last, to double.
-#}

{% macro exact_sum(x) -%}
    (cast(sum(cast(round({{ x }} * 1e9) as decimal(28, 0))) as double) / 1e9)
{%- endmacro %}

{#- Average over the rows where `x` is known; null where there is none. -#}
{% macro exact_avg(x) -%}
    ({{ exact_sum(x) }} / nullif(count({{ x }}), 0))
{%- endmacro %}
