//! Sending SQL of the project to the engine, with errors that say where it came from.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
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

    /// The numbers of a query that gives one row of them.
    pub(super) async fn counts(&self, session: &SessionContext, sql: &str) -> Result<Vec<u64>> {
        let batches = self.collect(session, sql).await?;
        let row = batches.iter().find(|batch| batch.num_rows() > 0);
        let number = |column: &dyn Array| {
            column.as_primitive_opt::<Int64Type>().map_or(0, |values| values.value(0).unsigned_abs())
        };
        Ok(row.map(|batch| batch.columns().iter().map(|column| number(column.as_ref())).collect()).unwrap_or_default())
    }

    /// Up to five rows of a query.
    pub(super) async fn sample(&self, session: &SessionContext, sql: &str) -> Result<Sample> {
        let limited = format!("select * from (\n{sql}\n) as failing limit 5");
        let batches = self.collect(session, &limited).await?;
        super::types::texts(&batches).map_err(|error| self.refused(sql, error.to_string()))
    }
}
