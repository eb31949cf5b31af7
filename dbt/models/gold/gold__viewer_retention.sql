{{ config(changed_by=['video_id']) }}

select
    v.video_id,
    count(*) as total_views,
    {{ exact_avg('v.watch_time_percentage') }} as avg_retention
from {{ ref('silver__views') }} as v
where {{ changed('v') }}
group by v.video_id
