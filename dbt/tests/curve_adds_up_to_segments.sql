-- Seconds played: the area under a video's curve is what its segments cover.
with curves as (

    select video_id, sum(plays) as seconds
    from {{ ref('gold__retention_curve') }}
    group by video_id

),

segments as (

    select video_id, sum(cast(ceil(end_s - 0.5) as bigint) - cast(ceil(start_s - 0.5) as bigint)) as seconds
    from {{ ref('silver__watched_segments') }}
    group by video_id

)

select
    coalesce(c.video_id, s.video_id) as video_id,
    c.seconds as curve_seconds,
    s.seconds as segment_seconds
from curves as c
full outer join segments as s on c.video_id = s.video_id
where coalesce(c.seconds, 0) <> coalesce(s.seconds, 0)
