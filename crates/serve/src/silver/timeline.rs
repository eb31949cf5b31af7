//! Where chosen views are left, and where they skip: as `gold.drop_off` and `gold.seeks_after_half` have it for all views.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::engine::{Query, Reader, Trouble, Values};
use crate::api::Filter;
use crate::gold::{Actions, SeekCounts};

/// What happened in each bucket of 5 s, by the second in which it begins.
pub(crate) async fn buckets(reader: Reader<'_>, filter: &Filter) -> Result<BTreeMap<i64, Actions>, Trouble> {
    let mut values = Values::default();
    let chosen = filter.predicate(&mut values);
    let (of_seeks, of_segments) = (filter.date_predicate("k", &mut values), filter.date_predicate("s", &mut values));
    let sql = format!(
        "with chosen as (select v.view_id, v.exit_s from silver.views v where {chosen}), \
         seeks as (select k.from_s, k.to_s from silver.seeks k inner join chosen c on k.view_id = c.view_id where {of_seeks}), \
         positions as ( \
             select exit_s as position_s, 1 as exits, 0 as seeks_away, 0 as seeks_in, 0 as pauses from chosen where exit_s is not null \
             union all select from_s, 0, 1, 0, 0 from seeks where from_s is not null \
             union all select to_s, 0, 0, 1, 0 from seeks where to_s is not null \
             union all select s.end_s, 0, 0, 0, 1 from silver.watched_segments s \
                 inner join chosen c on s.view_id = c.view_id where s.ended_by = 'pause' and {of_segments}) \
         select cast(floor(position_s / 5) * 5 as bigint) as start_s, sum(exits) as exits, sum(seeks_away) as seeks_away, \
             sum(seeks_in) as seeks_in, sum(pauses) as pauses \
         from positions group by cast(floor(position_s / 5) * 5 as bigint)"
    );
    let take = |buckets: &mut BTreeMap<i64, Actions>, batch| {
        let columns = Columns(&batch);
        let starts = columns.integers("start_s")?;
        Actions::read(&columns, |row, actions| buckets.entry(starts.value(row)).or_default().add(&actions))
    };
    reader.fold(Query { sql, values }, BTreeMap::new(), take).await
}

/// Views and their seeks from the second half, by date (days since 1970).
pub(crate) async fn seeks_after_half(
    reader: Reader<'_>,
    filter: &Filter,
) -> Result<BTreeMap<i32, SeekCounts>, Trouble> {
    let mut values = Values::default();
    let chosen = filter.predicate(&mut values);
    let sql = format!(
        "select v.view_date, count(*) as views, sum(case when v.seeks_after_half > 0 then 1 else 0 end) as views_with_seek, \
         sum(coalesce(v.seeks_after_half, 0)) as seeks from silver.views v where {chosen} group by v.view_date"
    );
    let take = |days: &mut BTreeMap<i32, SeekCounts>, batch| {
        let columns = Columns(&batch);
        let dates = columns.days("view_date")?;
        SeekCounts::read(&columns, |row, counts| days.entry(dates.value(row)).or_default().add(&counts))
    };
    reader.fold(Query { sql, values }, BTreeMap::new(), take).await
}
