{{ config(changed_by=['region', 'view_date']) }}

with hours as (

    select
        v.region,
        v.view_date,
        cast(extract(hour from v.started_at) as int) as hour_of_day,
        v.user_id,
        v.watch_time_s,
        v.watch_time_percentage
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}

)

select
    region,
    view_date,
    hour_of_day,
    count(*) as views,
    count(distinct user_id) as viewers,
    {{ exact_sum('watch_time_s') }} as watch_time_s,
    {{ exact_avg('watch_time_percentage') }} as avg_watch_time_percentage
from hours
group by region, view_date, hour_of_day

union all

select
    region,
    view_date,
    cast(null as int) as hour_of_day,
    count(*) as views,
    count(distinct user_id) as viewers,
    {{ exact_sum('watch_time_s') }} as watch_time_s,
    {{ exact_avg('watch_time_percentage') }} as avg_watch_time_percentage
from hours
group by region, view_date
