{#-
Views grouped by `id` for each UTC date and over all, ranked by watch time, ties by id. `names` are columns that follow
from the id; where metadata changed over time, the greatest is shown.
-#}
{% macro ranked_by_watch_time(views, id, names=[]) %}
with periods as (

    select
        'day' as period,
        v.view_date,
        {{ watch_facts(id, names) }}
    from {{ views }} as v
    group by v.view_date, v.{{ id }}

    union all

    select
        'all' as period,
        cast(null as date) as view_date,
        {{ watch_facts(id, names) }}
    from {{ views }} as v
    group by v.{{ id }}

)

select
    period,
    view_date,
    {{ id }},
    {%- for name in names %}
    {{ name }},
    {%- endfor %}
    views,
    viewers,
    watch_time_s,
    avg_watch_time_percentage,
    completion_rate,
    cast(row_number() over (
        partition by period, view_date
        order by watch_time_s desc, {{ id }} asc nulls last
    ) as int) as rank
from periods
{% endmacro %}

{% macro watch_facts(id, names) -%}
        v.{{ id }},
        {%- for name in names %}
        max(v.{{ name }}) as {{ name }},
        {%- endfor %}
        count(*) as views,
        count(distinct v.user_id) as viewers,
        {{ exact_sum('v.watch_time_s') }} as watch_time_s,
        {{ exact_avg('v.watch_time_percentage') }} as avg_watch_time_percentage,
        {{ share_of_known('v.is_completed') }} as completion_rate
{%- endmacro %}

{#- Share, 0..1, of true among the rows where `flag` is known; null where there is none. -#}
{% macro share_of_known(flag) -%}
    (cast(sum(case when {{ flag }} then 1 else 0 end) as double) / nullif(count({{ flag }}), 0))
{%- endmacro %}
