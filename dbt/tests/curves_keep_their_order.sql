-- At any second: a view covers it at most once, survives it if it covers it, and played it at least once if it covers it.
select video_id, second_s, views, plays, watched, survived
from {{ ref('gold__retention_curve') }}
where watched < 0 or watched > plays or watched > survived or survived > views

union all

select video_id, second_s, views, plays, watched, survived
from {{ ref('gold__retention_curve_by_region') }}
where watched < 0 or watched > plays or watched > survived or survived > views
