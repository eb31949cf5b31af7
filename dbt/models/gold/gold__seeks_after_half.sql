{{ config(changed_by=['video_id', 'region', 'view_date'], partition_by=['view_date']) }}

select
    v.video_id,
    v.region,
    v.view_date,
    count(*) as views,
    cast(sum(case when v.seeks_after_half > 0 then 1 else 0 end) as bigint) as views_with_seek_after_half,
    cast(sum(coalesce(v.seeks_after_half, 0)) as bigint) as seeks_after_half
from {{ ref('silver__views') }} as v
where {{ changed('v') }}
group by v.video_id, v.region, v.view_date
