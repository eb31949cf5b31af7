//! The groups (video, region, day) that silver builds have touched since a gold model was built.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use datafusion::common::TableReference;

use super::sql::Origin;
use crate::error::{Error, Place, Result};
use crate::jinja::quoted;

/// Name of the session's table of changed groups in the schema `silver`.
const TABLE: &str = "changed_groups";

/// Changed groups, each once.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    rows: RecordBatch,
    /// Their dates, as `2026-01-31`.
    pub(super) dates: Vec<String>,
}

impl Groups {
    /// Reads the groups of some silver builds.
    pub(super) async fn read(session: &SessionContext, builds: &[String]) -> Result<Self> {
        let ids: Vec<String> = builds.iter().map(|id| format!("'{}'", id.replace('\'', "''"))).collect();
        let filter = if ids.is_empty() { "false".to_owned() } else { format!("build_id in ({})", ids.join(", ")) };
        let sql = format!("select distinct video_id, region, view_date from silver.changes where {filter}");
        let rows = distinct(session, &sql).await?;
        let dates = "select distinct cast(view_date as varchar) as view_date from silver.changes";
        let dates = distinct(session, &format!("{dates} where {filter} order by 1")).await?;
        let dates = texts(&dates).into_iter().flatten().collect();
        Ok(Self { rows, dates })
    }

    /// Makes them `silver.changed_groups` of a session.
    pub(super) fn register(&self, session: &SessionContext) -> Result<()> {
        let failed = |error: datafusion::error::DataFusionError| Error::State(format!("registering silver.{TABLE}: {error}"));
        let reference = TableReference::partial("silver", TABLE);
        session.deregister_table(reference.clone()).map_err(failed)?;
        let table = MemTable::try_new(self.rows.schema(), vec![vec![self.rows.clone()]]).map_err(failed)?;
        session.register_table(reference, Arc::new(table)).map_err(failed)?;
        Ok(())
    }

    /// The distinct values of some of the columns, as keys of the rows to replace.
    pub(super) async fn keys(&self, session: &SessionContext, columns: &[String]) -> Result<RecordBatch> {
        let list: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        distinct(session, &format!("select distinct {} from silver.{TABLE}", list.join(", "))).await
    }

    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }

    /// The columns that a group has.
    pub(super) fn columns(&self) -> Vec<String> {
        self.rows.schema().fields().iter().map(|field| field.name().clone()).collect()
    }
}

async fn distinct(session: &SessionContext, sql: &str) -> Result<RecordBatch> {
    let at = Place::new("silver.changes", 0);
    let origin = Origin { node: "changed groups", at: &at };
    let frame = origin.plan(session, sql).await?;
    let schema = super::types::table_schema(frame.schema().as_arrow()).map_err(|detail| origin.refused(sql, detail))?;
    let batches = frame.collect().await.map_err(|error| origin.failed(sql, &error))?;
    let fitted: Vec<RecordBatch> = batches
        .iter()
        .map(|batch| super::types::fit(batch, &schema))
        .collect::<Result<_, _>>()
        .map_err(|error| origin.refused(sql, error.to_string()))?;
    concat_batches(&schema, &fitted).map_err(|error| origin.refused(sql, error.to_string()))
}

/// The values of a text column.
fn texts(rows: &RecordBatch) -> Vec<Option<String>> {
    let Some(column) = rows.columns().first().and_then(|column| column.as_string_opt::<i32>()) else { return Vec::new() };
    (0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row).to_owned())).collect()
}
