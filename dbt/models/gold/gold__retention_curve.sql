{{ config(changed_by=['video_id']) }}

with videos as (

    select
        v.video_id,
        count(*) as views,
        cast(coalesce(max(ceil(v.video_duration_s - 0.5)), 0) as int) as duration_seconds
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}
    group by v.video_id

),

changes as (

    select
        c.video_id,
        c.second_s,
        sum(c.plays_change) as plays_change,
        sum(c.watched_change) as watched_change,
        sum(c.survived_change) as survived_change
    from {{ ref('gold__retention_changes') }} as c
    where {{ changed('c') }}
    group by c.video_id, c.second_s

    union all

    -- A curve begins at 0 whatever was watched.
    select
        video_id,
        0 as second_s,
        0 as plays_change,
        0 as watched_change,
        0 as survived_change
    from videos

),

-- Each value of the curve, with the seconds for which it holds: second_s up to but not including next_second.
steps as (

    select
        video_id,
        second_s,
        lead(second_s) over (partition by video_id order by second_s) as next_second,
        sum(plays_change) over (
            partition by video_id order by second_s rows between unbounded preceding and current row
        ) as plays,
        sum(watched_change) over (
            partition by video_id order by second_s rows between unbounded preceding and current row
        ) as watched,
        sum(survived_change) over (
            partition by video_id order by second_s rows between unbounded preceding and current row
        ) as survived
    from changes

),

spans as (

    select
        steps.video_id,
        steps.second_s,
        coalesce(steps.next_second, videos.duration_seconds) as next_second,
        videos.views,
        steps.plays,
        steps.watched,
        steps.survived
    from steps
    inner join videos on steps.video_id = videos.video_id

),

dense as (

    select
        video_id,
        {{ each_from('second_s', 'next_second') }} as second_s,
        views,
        plays,
        watched,
        survived
    from spans
    where second_s < next_second

)

select
    video_id,
    cast(second_s as int) as second_s,
    views,
    cast(plays as bigint) as plays,
    cast(watched as bigint) as watched,
    cast(survived as bigint) as survived
from dense
