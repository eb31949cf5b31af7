-- A view that watched anything leaves at one place; a seek of a view leaves from one and lands at one, where known.
with viewed as (

    select view_id, exit_s
    from {{ ref('silver__views') }}
    where {{ may_have_changed() }}

),

views as (

    select count(exit_s) as exits from viewed

),

seeks as (

    select count(k.from_s) as seeks_away, count(k.to_s) as seeks_in
    from (select view_id, from_s, to_s from {{ ref('silver__seeks') }} where {{ may_have_changed() }}) as k
    inner join viewed on k.view_id = viewed.view_id

),

segments as (

    select count(*) as pauses
    from {{ ref('silver__watched_segments') }}
    where ended_by = 'pause' and {{ may_have_changed() }}

),

found as (

    select
        coalesce(sum(exits), 0) as exits,
        coalesce(sum(seeks_away), 0) as seeks_away,
        coalesce(sum(seeks_in), 0) as seeks_in,
        coalesce(sum(pauses), 0) as pauses
    from {{ ref('gold__drop_off') }}
    where {{ may_have_changed() }}

)

select
    views.exits as expected_exits,
    found.exits,
    seeks.seeks_away as expected_seeks_away,
    found.seeks_away,
    seeks.seeks_in as expected_seeks_in,
    found.seeks_in,
    segments.pauses as expected_pauses,
    found.pauses
from views
cross join seeks
cross join segments
cross join found
where views.exits <> found.exits
    or seeks.seeks_away <> found.seeks_away
    or seeks.seeks_in <> found.seeks_in
    or segments.pauses <> found.pauses
