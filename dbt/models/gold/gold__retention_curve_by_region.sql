{{ config(changed_by=['video_id']) }}

with regions as (

    select
        v.video_id,
        v.region,
        count(*) as views,
        max(v.video_duration_s) as duration_s
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}
    group by v.video_id, v.region

),

changes as (

    select
        c.video_id,
        c.region,
        c.second_s,
        c.plays_change,
        c.watched_change,
        c.survived_change
    from {{ ref('gold__retention_changes') }} as c
    where {{ changed('c') }}

),

known as (

    select
        video_id,
        max(duration_s) as duration_s,
        cast(coalesce(max(ceil(duration_s - 0.5)), 0) as int) as duration_seconds
    from regions
    group by video_id

),

curves as (

    select
        k.video_id,
        max(k.second_s) + 1 as seconds
    from {{ ref('gold__retention_curve') }} as k
    where {{ changed('k') }}
    group by k.video_id

),

-- In every region as long as the curve of the video, whose number of seconds `seconds` is.
videos as (

    select
        known.video_id,
        case
            when curves.seconds > known.duration_seconds then cast(curves.seconds as double)
            else known.duration_s
        end as duration_s,
        curves.seconds
    from known
    inner join curves on known.video_id = curves.video_id

),

-- Percentage p stands for second floor(p * duration / 100), so a change counts from the first p that is at least
-- 100 * second / duration. A region's views count from 0.
placed as (

    select
        c.video_id,
        c.region,
        cast(ceil(100 * cast(c.second_s as double) / v.duration_s) as int) as percentage,
        0 as views,
        c.plays_change,
        c.watched_change,
        c.survived_change
    from changes as c
    inner join videos as v on c.video_id = v.video_id
    where c.second_s < v.seconds

    union all

    select
        video_id,
        region,
        0 as percentage,
        views,
        0 as plays_change,
        0 as watched_change,
        0 as survived_change
    from regions

),

steps as (

    select
        video_id,
        region,
        percentage,
        sum(views) as views,
        sum(plays_change) as plays_change,
        sum(watched_change) as watched_change,
        sum(survived_change) as survived_change
    from placed
    group by video_id, region, percentage

),

-- Each value of the curve, with the percentages for which it holds.
spans as (

    select
        video_id,
        region,
        percentage,
        coalesce(lead(percentage) over (partition by video_id, region order by percentage), 101) as next_percentage,
        sum(views) over (
            partition by video_id, region order by percentage rows between unbounded preceding and current row
        ) as views,
        sum(plays_change) over (
            partition by video_id, region order by percentage rows between unbounded preceding and current row
        ) as plays,
        sum(watched_change) over (
            partition by video_id, region order by percentage rows between unbounded preceding and current row
        ) as watched,
        sum(survived_change) over (
            partition by video_id, region order by percentage rows between unbounded preceding and current row
        ) as survived
    from steps

),

dense as (

    select
        s.video_id,
        s.region,
        {{ each_from('s.percentage', 's.next_percentage') }} as percentage,
        v.duration_s,
        v.seconds,
        s.views,
        s.plays,
        s.watched,
        s.survived
    from spans as s
    inner join videos as v on s.video_id = v.video_id

)

select
    video_id,
    region,
    cast(percentage as int) as percentage,
    cast(least(floor(cast(percentage as double) * duration_s / 100), seconds - 1) as int) as second_s,
    cast(views as bigint) as views,
    cast(plays as bigint) as plays,
    cast(watched as bigint) as watched,
    cast(survived as bigint) as survived
from dense
