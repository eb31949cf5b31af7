//! Facts about chosen views, by whatever they are grouped.

use arrow_array::RecordBatch;

use super::engine::{Query, Reader, Trouble, Values};
use super::facts::SUMS;
use crate::api::Filter;

/// A column to group by: its SQL over `v`, which is silver.views, and its name in the result.
pub(crate) type Key = (&'static str, &'static str);

/// The columns of [`SUMS`] for each group of the views chosen; without keys, one row.
pub(crate) async fn facts(reader: Reader<'_>, filter: &Filter, keys: &[Key]) -> Result<Vec<RecordBatch>, Trouble> {
    reader.collect(grouped(filter, keys, SUMS)).await
}

/// The column `viewers` for each group of the views chosen: how many different people. A query of its own, because next
/// to other sums the engine counts different values one group at a time.
pub(crate) async fn viewers(reader: Reader<'_>, filter: &Filter, keys: &[Key]) -> Result<Vec<RecordBatch>, Trouble> {
    reader.collect(grouped(filter, keys, "count(distinct v.user_id) as viewers")).await
}

fn grouped(filter: &Filter, keys: &[Key], sums: &str) -> Query {
    let mut values = Values::default();
    let chosen = filter.predicate(&mut values);
    let mut sql = "select ".to_owned();
    for (column, name) in keys {
        sql.push_str(&format!("{column} as {name}, "));
    }
    sql.push_str(&format!("{sums} from silver.views v where {chosen}"));
    if !keys.is_empty() {
        let columns: Vec<&str> = keys.iter().map(|(column, _)| *column).collect();
        sql.push_str(&format!(" group by {}", columns.join(", ")));
    }
    Query { sql, values }
}
