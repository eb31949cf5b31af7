{#- Where the column is known, it is a number from `low` to `high`, both included. Without `high`: at least `low`. -#}
{% test within(model, column_name, low=0, high=none) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < {{ low }}
{%- if high is not none %}
    or {{ column_name }} > {{ high }}
{%- endif %}
{% endtest %}
