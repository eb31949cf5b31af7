{{ config(changed_by=['video_id', 'region', 'view_date'], partition_by=['view_date']) }}

with viewed as (

    select
        v.view_id,
        v.video_id,
        v.region,
        v.view_date,
        v.exit_s
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}

),

-- A session without any play is no view, but may have seeks.
seeks as (

    select
        k.view_id,
        k.video_id,
        k.region,
        k.view_date,
        k.from_s,
        k.to_s
    from {{ ref('silver__seeks') }} as k
    where {{ changed('k') }}

),

seeks_of_views as (

    select
        seeks.video_id,
        seeks.region,
        seeks.view_date,
        seeks.from_s,
        seeks.to_s
    from seeks
    inner join viewed on seeks.view_id = viewed.view_id

),

positions as (

    select video_id, region, view_date, exit_s as position_s, 1 as exits, 0 as seeks_away, 0 as seeks_in, 0 as pauses
    from viewed
    where exit_s is not null

    union all

    select video_id, region, view_date, from_s as position_s, 0 as exits, 1 as seeks_away, 0 as seeks_in, 0 as pauses
    from seeks_of_views
    where from_s is not null

    union all

    select video_id, region, view_date, to_s as position_s, 0 as exits, 0 as seeks_away, 1 as seeks_in, 0 as pauses
    from seeks_of_views
    where to_s is not null

    union all

    select s.video_id, s.region, s.view_date, s.end_s as position_s, 0 as exits, 0 as seeks_away, 0 as seeks_in, 1 as pauses
    from {{ ref('silver__watched_segments') }} as s
    where s.ended_by = 'pause' and {{ changed('s') }}

),

buckets as (

    select
        video_id,
        region,
        view_date,
        cast(floor(position_s / 5) * 5 as double) as bucket_start_s,
        cast(sum(exits) as bigint) as exits,
        cast(sum(seeks_away) as bigint) as seeks_away,
        cast(sum(seeks_in) as bigint) as seeks_in,
        cast(sum(pauses) as bigint) as pauses
    from positions
    group by video_id, region, view_date, cast(floor(position_s / 5) * 5 as double)

),

groups as (

    select
        video_id,
        region,
        view_date,
        count(*) as views
    from viewed
    group by video_id, region, view_date

)

select
    b.video_id,
    b.region,
    b.view_date,
    b.bucket_start_s,
    g.views,
    b.exits,
    b.seeks_away,
    b.seeks_in,
    b.pauses
from buckets as b
inner join groups as g on {{ same_group('b', 'g', ['video_id', 'region', 'view_date']) }}
