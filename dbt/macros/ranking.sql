{#-
Views grouped by `id` for each UTC date and over all, ranked by watch time, ties by id. `names` are columns that follow
from the id; where metadata changed over time, the greatest is shown.
-#}
{% macro ranked_by_watch_time(views, id, names=[]) %}
with facts as (

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

),

-- By themselves: next to other aggregates, DataFusion counts distinct values one group at a time.
audience as (

    select
        v.view_date,
        v.{{ id }},
        count(distinct v.user_id) as viewers
    from {{ views }} as v
    group by v.view_date, v.{{ id }}

    union all

    select
        cast(null as date) as view_date,
        v.{{ id }},
        count(distinct v.user_id) as viewers
    from {{ views }} as v
    group by v.{{ id }}

)

select
    f.period,
    f.view_date,
    f.{{ id }},
    {%- for name in names %}
    f.{{ name }},
    {%- endfor %}
    f.views,
    a.viewers,
    f.watch_time_s,
    f.avg_watch_time_percentage,
    f.completion_rate,
    cast(row_number() over (
        partition by f.period, f.view_date
        order by f.watch_time_s desc, f.{{ id }} asc nulls last
    ) as int) as rank
from facts as f
inner join audience as a on {{ same_group('f', 'a', ['view_date', id]) }}
{% endmacro %}

{% macro watch_facts(id, names) -%}
        v.{{ id }},
        {%- for name in names %}
        max(v.{{ name }}) as {{ name }},
        {%- endfor %}
        count(*) as views,
        {{ exact_sum('v.watch_time_s') }} as watch_time_s,
        {{ exact_avg('v.watch_time_percentage') }} as avg_watch_time_percentage,
        {{ share_of_known('v.is_completed') }} as completion_rate
{%- endmacro %}

{#- Share, 0..1, of true among the rows where `flag` is known; null where there is none. -#}
{% macro share_of_known(flag) -%}
    (cast(sum(case when {{ flag }} then 1 else 0 end) as double) / nullif(count({{ flag }}), 0))
{%- endmacro %}
