-- Views are added to the survival curve at second 0 and only leave it later.
select video_id, region, view_date, second_s, survived_change
from {{ ref('gold__retention_changes') }}
where second_s > 0 and survived_change > 0 and {{ may_have_changed() }}
