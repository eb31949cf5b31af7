-- A view that watched anything leaves at one place, a seek leaves from one and lands at one.
with expected as (

    select
        (select count(*) from {{ ref('silver__views') }} where exit_s is not null) as exits,
        (select count(*) from {{ ref('silver__seeks') }} where from_s is not null) as seeks_away,
        (select count(*) from {{ ref('silver__seeks') }} where to_s is not null) as seeks_in,
        (select count(*) from {{ ref('silver__watched_segments') }} where ended_by = 'pause') as pauses

),

found as (

    select
        coalesce(sum(exits), 0) as exits,
        coalesce(sum(seeks_away), 0) as seeks_away,
        coalesce(sum(seeks_in), 0) as seeks_in,
        coalesce(sum(pauses), 0) as pauses
    from {{ ref('gold__drop_off') }}

)

select
    f.exits,
    e.exits as expected_exits,
    f.seeks_away,
    e.seeks_away as expected_seeks_away,
    f.seeks_in,
    e.seeks_in as expected_seeks_in,
    f.pauses,
    e.pauses as expected_pauses
from found as f
cross join expected as e
where f.exits <> e.exits or f.seeks_away <> e.seeks_away or f.seeks_in <> e.seeks_in or f.pauses <> e.pauses
