{#-
Each row is of a view that `to` has, on the same date: the relationship `column_name` = `column_name`, of the dates that
may have changed.
-#}
{% test in_view(model, column_name, to) %}
select part.{{ column_name }}
from (select {{ column_name }}, view_date from {{ model }} where {{ may_have_changed() }}) as part
left join (select {{ column_name }}, view_date from {{ to }} where {{ may_have_changed() }}) as whole
    on part.{{ column_name }} = whole.{{ column_name }} and part.view_date = whole.view_date
where whole.{{ column_name }} is null
{% endtest %}
