//! Sending SQL of the project to the engine, with errors that say where it came from.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::FieldRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use datafusion::prelude::{DataFrame, SessionContext};
use streamreel_lake::plan;

use crate::error::{Error, Place, Result};
use crate::report::Sample;

/// A node of the project whose SQL is sent.
pub(super) struct Origin<'a> {
    pub(super) node: &'a str,
    pub(super) at: &'a Place,
}

impl Origin<'_> {
    /// An error of the engine about this node's SQL.
    pub(super) fn failed(&self, sql: &str, error: &DataFusionError) -> Error {
        self.refused(sql, error.strip_backtrace())
    }

    /// An error about this node's SQL.
    pub(super) fn refused(&self, sql: &str, detail: impl Into<String>) -> Error {
        let numbered: Vec<String> =
            sql.lines().enumerate().map(|(index, line)| format!("{:>5} | {line}", index + 1)).collect();
        Error::Query {
            node: self.node.to_owned(),
            at: self.at.clone(),
            detail: detail.into(),
            sql: numbered.join("\n"),
        }
    }

    /// Plans a query.
    pub(super) async fn plan(&self, session: &SessionContext, sql: &str) -> Result<DataFrame> {
        plan::sql(session, sql).await.map_err(|error| self.failed(sql, &error))
    }

    /// All rows of a query that gives few; it runs on a task of its own.
    pub(super) async fn collect(&self, session: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
        let frame = self.plan(session, sql).await?;
        let rows = SpawnedTask::spawn(frame.collect()).join_unwind().await;
        rows.map_err(|error| self.refused(sql, error.to_string()))?.map_err(|error| self.failed(sql, &error))
    }

    /// The counts of a query that gives one row of them.
    ///
    /// # Errors
    /// The query can't run, or gives something else.
    pub(super) async fn counts(&self, session: &SessionContext, sql: &str) -> Result<Vec<u64>> {
        let batches = self.collect(session, sql).await?;
        counts_in(&batches).map_err(|detail| self.refused(sql, detail))
    }

    /// The one count of a query.
    ///
    /// # Errors
    /// As [`Origin::counts`].
    pub(super) async fn count(&self, session: &SessionContext, sql: &str) -> Result<u64> {
        let counts = self.counts(session, sql).await?;
        match counts.as_slice() {
            [count] => Ok(*count),
            other => Err(self.refused(sql, format!("one count is expected, found {}", other.len()))),
        }
    }

    /// Up to five rows of a query.
    pub(super) async fn sample(&self, session: &SessionContext, sql: &str) -> Result<Sample> {
        let limited = format!("select * from (\n{sql}\n) as failing limit 5");
        let batches = self.collect(session, &limited).await?;
        super::types::texts(&batches).map_err(|error| self.refused(sql, error.to_string()))
    }
}

/// The counts in a query's one row; else what was found instead.
fn counts_in(batches: &[RecordBatch]) -> Result<Vec<u64>, String> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() == 1).filter(|_| rows == 1) else {
        return Err(format!("one row of counts is expected, found {rows} rows"));
    };
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let count = |(column, field): (&ArrayRef, &FieldRef)| {
        count_of(column.as_ref()).map_err(|found| format!("a count is expected in `{}`, found {found}", field.name()))
    };
    columns.map(count).collect()
}

/// The count in a column of one row; else what was found instead.
fn count_of(column: &dyn Array) -> Result<u64, String> {
    let numbers =
        column.as_primitive_opt::<Int64Type>().ok_or_else(|| format!("a value of type {}", column.data_type()))?;
    if numbers.is_null(0) {
        return Err("null".to_owned());
    }
    let number = numbers.value(0);
    u64::try_from(number).map_err(|_| number.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, Int64Array};

    use super::*;

    #[test]
    fn only_counts_are_counts() {
        let batch = |column: ArrayRef| RecordBatch::try_from_iter_with_nullable([("failures", column, true)]).unwrap();
        let numbers = |values: Vec<Option<i64>>| batch(Arc::new(Int64Array::from(values)));
        let counted = counts_in(&[numbers(Vec::new()), numbers(vec![Some(3)])]);
        assert_eq!(counted, Ok(vec![3]));
        for (batches, found) in [
            (Vec::new(), "one row of counts is expected, found 0 rows"),
            (vec![numbers(Vec::new())], "one row of counts is expected, found 0 rows"),
            (vec![numbers(vec![Some(0)]), numbers(vec![Some(3)])], "one row of counts is expected, found 2 rows"),
            (vec![numbers(vec![None])], "a count is expected in `failures`, found null"),
            (vec![numbers(vec![Some(-1)])], "a count is expected in `failures`, found -1"),
            (
                vec![batch(Arc::new(Int32Array::from(vec![3])))],
                "a count is expected in `failures`, found a value of type Int32",
            ),
        ] {
            assert_eq!(counts_in(&batches), Err(found.to_owned()));
        }
    }
}
