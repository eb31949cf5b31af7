{{ config(changed_by=['region', 'view_date']) }}

-- Every view twice: in its hour, and in its whole day.
with periods as (

    select
        v.region,
        v.view_date,
        cast(extract(hour from v.started_at) as int) as hour_of_day,
        v.user_id,
        v.watch_time_s,
        v.watch_time_percentage
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}

    union all

    select
        v.region,
        v.view_date,
        cast(null as int) as hour_of_day,
        v.user_id,
        v.watch_time_s,
        v.watch_time_percentage
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}

),

facts as (

    select
        region,
        view_date,
        hour_of_day,
        count(*) as views,
        {{ exact_sum('watch_time_s') }} as watch_time_s,
        {{ exact_avg('watch_time_percentage') }} as avg_watch_time_percentage
    from periods
    group by region, view_date, hour_of_day

),

-- By themselves: next to other aggregates, DataFusion counts distinct values one group at a time.
audience as (

    select
        region,
        view_date,
        hour_of_day,
        count(distinct user_id) as viewers
    from periods
    group by region, view_date, hour_of_day

)

select
    f.region,
    f.view_date,
    f.hour_of_day,
    f.views,
    a.viewers,
    f.watch_time_s,
    f.avg_watch_time_percentage
from facts as f
inner join audience as a on {{ same_group('f', 'a', ['region', 'view_date', 'hour_of_day']) }}
