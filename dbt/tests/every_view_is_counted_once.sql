-- However views are grouped, their number is the same.
with counts as (

    select 'silver.views' as counted, count(*) as views from {{ ref('silver__views') }}
    union all
    select 'viewer_retention' as counted, sum(total_views) as views from {{ ref('gold__viewer_retention') }}
    union all
    select 'viewer_retention_by_region' as counted, sum(total_views) as views from {{ ref('gold__viewer_retention_by_region') }}
    union all
    select 'seeks_after_half' as counted, sum(views) as views from {{ ref('gold__seeks_after_half') }}
    union all
    select 'regional_engagement, days' as counted, sum(views) as views
    from {{ ref('gold__regional_engagement') }}
    where hour_of_day is null
    union all
    select 'regional_engagement, hours' as counted, sum(views) as views
    from {{ ref('gold__regional_engagement') }}
    where hour_of_day is not null
    union all
    select 'top_content, all' as counted, sum(views) as views
    from {{ ref('gold__top_content') }}
    where period = 'all'
    union all
    select 'top_creators, days' as counted, sum(views) as views
    from {{ ref('gold__top_creators') }}
    where period = 'day'
    union all
    select 'top_genres, all' as counted, sum(views) as views
    from {{ ref('gold__top_genres') }}
    where period = 'all'

)

select counted, coalesce(views, 0) as views
from counts
where coalesce(views, 0) <> (select count(*) from {{ ref('silver__views') }})
