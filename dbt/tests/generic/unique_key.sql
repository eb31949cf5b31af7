{#-
No two rows with the same values in `columns`; null is a value here. Where only some dates changed and a date is part of
the key, rows of other dates can't have become equal.
-#}
{% test unique_key(model, columns) %}
select {{ columns | join(', ') }}, count(*) as copies
from {{ model }}
where {{ may_have_changed(columns) }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
