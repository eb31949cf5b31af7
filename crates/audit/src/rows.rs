//! Numbers out of queries.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use datafusion::execution::context::SessionContext;
use streamreel_lake::plan;

use crate::Error;

/// All rows of a query whose columns are all bigint; `null` is 0.
pub(crate) async fn numbers(session: &SessionContext, what: &str, sql: &str) -> Result<Vec<Vec<i64>>, Error> {
    let failed = |source| Error::Query { what: what.to_owned(), source: Box::new(source) };
    let batches = plan::sql(session, sql).await.map_err(failed)?.collect().await.map_err(failed)?;
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| numbers_of(what, batch, row))).collect()
}

fn numbers_of(what: &str, batch: &RecordBatch, row: usize) -> Result<Vec<i64>, Error> {
    let number = |column: &arrow_array::ArrayRef| {
        let array = column.as_primitive_opt::<Int64Type>().ok_or_else(|| Error::NoNumber { what: what.to_owned() })?;
        Ok(if array.is_valid(row) { array.value(row) } else { 0 })
    };
    batch.columns().iter().map(number).collect()
}

/// The one number of a query.
pub(crate) async fn number(session: &SessionContext, what: &str, sql: &str) -> Result<i64, Error> {
    let rows = numbers(session, what, sql).await?;
    rows.first().and_then(|row| row.first()).copied().ok_or_else(|| Error::NoNumber { what: what.to_owned() })
}
