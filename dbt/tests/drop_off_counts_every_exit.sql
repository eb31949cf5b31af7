-- A view that watched anything leaves at one place; a seek of a view leaves from one and lands at one, where known.
with seeks as (

    select k.from_s, k.to_s
    from {{ ref('silver__seeks') }} as k
    inner join {{ ref('silver__views') }} as v on k.view_id = v.view_id

),

expected as (

    select 'exits' as counted, count(exit_s) as expected from {{ ref('silver__views') }}
    union all
    select 'seeks_away' as counted, count(from_s) as expected from seeks
    union all
    select 'seeks_in' as counted, count(to_s) as expected from seeks
    union all
    select 'pauses' as counted, count(*) as expected from {{ ref('silver__watched_segments') }} where ended_by = 'pause'

),

found as (

    select 'exits' as counted, sum(exits) as found from {{ ref('gold__drop_off') }}
    union all
    select 'seeks_away' as counted, sum(seeks_away) as found from {{ ref('gold__drop_off') }}
    union all
    select 'seeks_in' as counted, sum(seeks_in) as found from {{ ref('gold__drop_off') }}
    union all
    select 'pauses' as counted, sum(pauses) as found from {{ ref('gold__drop_off') }}

)

select
    expected.counted,
    expected.expected,
    coalesce(found.found, 0) as found
from expected
left join found on expected.counted = found.counted
where expected.expected <> coalesce(found.found, 0)
