{{ config(changed_by=['video_id', 'region', 'view_date'], partition_by=['view_date']) }}

-- The seconds whose midpoint a segment contains: from_second up to but not including to_second.
with covered as (

    select
        s.view_id,
        s.video_id,
        s.region,
        s.view_date,
        cast(ceil(s.start_s - 0.5) as int) as from_second,
        cast(ceil(s.end_s - 0.5) as int) as to_second
    from {{ ref('silver__watched_segments') }} as s
    where {{ changed('s') }}

),

-- In order of where they begin, a segment adds to the union of its view what lies beyond `reached`, the furthest end
-- of those before it.
ordered as (

    select
        video_id,
        region,
        view_date,
        from_second,
        to_second,
        max(to_second) over (
            partition by view_id
            order by from_second, to_second
            rows between unbounded preceding and 1 preceding
        ) as reached
    from covered
    where to_second > from_second

),

advances as (

    select
        video_id,
        region,
        view_date,
        from_second,
        to_second,
        coalesce(reached, 0) as reached,
        case when reached is null or to_second > reached then 1 else 0 end as is_advance,
        case when reached is null or from_second >= reached then 1 else 0 end as is_apart
    from ordered

),

-- At most three entries a segment: where it begins, where it ends, and where its view had reached.
entries as (

    select
        a.video_id,
        a.region,
        a.view_date,
        case e.entry when 'begin' then a.from_second when 'end' then a.to_second else a.reached end as second_s,
        case e.entry when 'begin' then 1 when 'end' then -1 else 0 end as plays_change,
        a.is_advance
            * case e.entry when 'begin' then a.is_apart when 'end' then -1 else 1 - a.is_apart end as watched_change,
        a.is_advance
            * case e.entry when 'begin' then 0 when 'end' then -1 else 1 end as survived_change
    from advances as a
    cross join (
        select 'begin' as entry
        union all
        select 'end' as entry
        union all
        select 'reached' as entry
    ) as e

)

select
    video_id,
    region,
    view_date,
    cast(second_s as int) as second_s,
    cast(sum(plays_change) as bigint) as plays_change,
    cast(sum(watched_change) as bigint) as watched_change,
    cast(sum(survived_change) as bigint) as survived_change
from entries
group by video_id, region, view_date, second_s
having sum(plays_change) <> 0 or sum(watched_change) <> 0 or sum(survived_change) <> 0
