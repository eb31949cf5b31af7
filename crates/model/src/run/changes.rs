//! The groups (video, region, day) that silver builds have touched since a gold model was built.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use super::sql::Origin;
use crate::error::{Error, Place, Result};

/// The session's table of changed groups.
const SCHEMA: &str = "silver";
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

    /// The distinct values of some of the columns.
    pub(super) async fn keys(&self, session: &SessionContext, columns: &[String]) -> Result<RecordBatch> {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let frame = session.read_batch(self.rows.clone()).and_then(|frame| frame.select_columns(&names)?.distinct());
        let batches = match frame {
            Ok(frame) => frame.collect().await,
            Err(error) => Err(error),
        };
        let batches = batches.map_err(|error| Error::State(format!("reading the changed groups: {error}")))?;
        let indices: Vec<usize> = names.iter().filter_map(|name| self.rows.schema().index_of(name).ok()).collect();
        let schema = self
            .rows
            .schema()
            .project(&indices)
            .map_err(|error| Error::State(format!("reading the changed groups: {error}")))?;
        concat_batches(&Arc::new(schema), &batches)
            .map_err(|error| Error::State(format!("reading the changed groups: {error}")))
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

/// Makes keys the session's table of changed groups. It is made for each model, with the columns of its `changed_by`
/// alone: several rows for one key would multiply the work of the join that looks for it.
pub(super) fn register(session: &SessionContext, keys: RecordBatch) -> Result<()> {
    let failed =
        |error: datafusion::error::DataFusionError| Error::State(format!("registering {SCHEMA}.{TABLE}: {error}"));
    let reference = TableReference::partial(SCHEMA, TABLE);
    session.deregister_table(reference.clone()).map_err(failed)?;
    let table = MemTable::try_new(keys.schema(), vec![vec![keys]]).map_err(failed)?;
    session.register_table(reference, Arc::new(table)).map_err(failed)?;
    Ok(())
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
    let Some(column) = rows.columns().first().and_then(|column| column.as_string_opt::<i32>()) else {
        return Vec::new();
    };
    (0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row).to_owned())).collect()
}
