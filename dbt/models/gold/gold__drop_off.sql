{{ config(changed_by=['video_id', 'region', 'view_date'], partition_by=['view_date']) }}

with positions as (

    select v.video_id, v.region, v.view_date, v.exit_s as position_s, 1 as exits, 0 as seeks_away, 0 as seeks_in, 0 as pauses
    from {{ ref('silver__views') }} as v
    where v.exit_s is not null and {{ changed('v') }}

    union all

    select k.video_id, k.region, k.view_date, k.from_s as position_s, 0 as exits, 1 as seeks_away, 0 as seeks_in, 0 as pauses
    from {{ ref('silver__seeks') }} as k
    where k.from_s is not null and {{ changed('k') }}

    union all

    select k.video_id, k.region, k.view_date, k.to_s as position_s, 0 as exits, 0 as seeks_away, 1 as seeks_in, 0 as pauses
    from {{ ref('silver__seeks') }} as k
    where k.to_s is not null and {{ changed('k') }}

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
        v.video_id,
        v.region,
        v.view_date,
        count(*) as views
    from {{ ref('silver__views') }} as v
    where {{ changed('v') }}
    group by v.video_id, v.region, v.view_date

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
