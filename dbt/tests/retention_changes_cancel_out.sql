-- Every play, every covered second and every view that begins also ends: the changes of a group add up to 0.
select video_id, region, view_date
from {{ ref('gold__retention_changes') }}
where {{ may_have_changed() }}
group by video_id, region, view_date
having sum(plays_change) <> 0 or sum(watched_change) <> 0 or sum(survived_change) <> 0
