{{ config(changed_by=['video_id', 'region']) }}

select
    v.video_id,
    v.region,
    count(*) as total_views,
    {{ exact_avg('v.watch_time_percentage') }} as avg_retention
from {{ ref('silver__views') }} as v
where {{ changed('v') }}
group by v.video_id, v.region
