//! Builds: which versions of the tables belong together.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{
    Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    cast::AsArray,
    types::{Int64Type, TimestampMicrosecondType},
};
use deltalake::kernel::LogicalFileView;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use serde::{Deserialize, Serialize};

use crate::{
    commit::{CommitNote, Delete},
    error::{Error, Result},
    lake::Lake,
    read::some_columns,
    spec::{TableId, TableSpec},
    table::Table,
    tables,
};

/// A published state: the last row of `gold.builds`. Appending it is the act that publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Its name.
    pub build_id: String,
    /// When it was finished, microseconds UTC; greater than that of every earlier build.
    pub finished_at: i64,
    /// Version of every table that belongs to it, those of silver and bronze that it was made from included.
    pub versions: BTreeMap<TableId, i64>,
    /// Version of `bronze.events` that it was made from.
    pub bronze_version: i64,
    /// Offsets of bronze that it covers: `<log>/<topic>/<partition>` -> first offset not covered.
    pub offsets: BTreeMap<String, i64>,
    /// Counts by name.
    pub counts: serde_json::Value,
}

/// A derived silver: the last row of `silver.builds`. Same columns as [`Build`].
pub type SilverBuild = Build;

impl Build {
    /// Version of a table in this build.
    pub fn version_of(&self, id: &TableId) -> Option<i64> {
        let of_bronze =
            || (*id == TableId::bronze("events") && self.bronze_version >= 0).then_some(self.bronze_version);
        self.versions.get(id).copied().or_else(of_bronze)
    }
}

impl Lake {
    /// The published state; `None` before the first build.
    pub async fn published(&self) -> Result<Option<Build>> {
        self.last_build(&TableId::gold("builds")).await
    }

    /// The derived silver; `None` before the first.
    pub async fn staged(&self) -> Result<Option<SilverBuild>> {
        self.last_build(&TableId::silver("builds")).await
    }

    /// Appends to `gold.builds`. `finished_at` is moved behind that of the last build if a clock went back.
    pub async fn publish(&self, build: &Build) -> Result<i64> {
        self.append_build(&tables::gold_builds(), build).await
    }

    /// Appends to `silver.builds`, as [`Lake::publish`].
    pub async fn stage(&self, build: &SilverBuild) -> Result<i64> {
        self.append_build(&tables::silver_builds(), build).await
    }

    /// All rows of `gold.builds`, oldest first.
    pub async fn builds(&self) -> Result<Vec<Build>> {
        match self.open_table(&TableId::gold("builds")).await? {
            Some(table) => table.builds().await,
            None => Ok(Vec::new()),
        }
    }

    async fn last_build(&self, id: &TableId) -> Result<Option<Build>> {
        match self.open_table(id).await? {
            Some(table) => table.last_build().await,
            None => Ok(None),
        }
    }

    async fn append_build(&self, spec: &TableSpec, build: &Build) -> Result<i64> {
        let mut table = self.create(spec).await?;
        let last = table.last_build().await?;
        let mut build = build.clone();
        if let Some(last) = last {
            build.finished_at = build.finished_at.max(last.finished_at + 1);
        }
        let mut writer = table.writer();
        writer.write(row(&table, &build)?).await?;
        let written = writer.finish().await?;
        // The commit is refused if another build has appended since the table was opened; so it is not appended by one that
        // has lost its lease to a build that has.
        self.inner.storage.check_build_lease(true).await?;
        table.commit(Delete::Nothing, written, CommitNote::new("build").of_build(&build.build_id)).await
    }
}

impl Table {
    async fn builds(&self) -> Result<Vec<Build>> {
        let mut builds = Vec::new();
        for file in self.files() {
            let mut batches = std::pin::pin!(self.read_file(&file, &self.schema, None).await?);
            while let Some(batch) = batches.try_next().await? {
                for index in 0..batch.num_rows() {
                    builds.push(parse(&batch, index).map_err(|what| self.build_row(what))?);
                }
            }
        }
        builds.sort_by(|a: &Build, b| (a.finished_at, &a.build_id).cmp(&(b.finished_at, &b.build_id)));
        Ok(builds)
    }

    /// The row of [`Table::builds`] that was finished last. Of the others only time and id are read, as there may be many.
    async fn last_build(&self) -> Result<Option<Build>> {
        let columns = ["finished_at", "build_id"].map(str::to_owned);
        let columns = some_columns(&self.schema, &columns);
        let mut last: Option<(Finished, LogicalFileView, usize)> = None;
        for file in self.files() {
            let mut before = 0;
            let mut batches = std::pin::pin!(self.read_file(&file, &columns, None).await?);
            while let Some(batch) = batches.try_next().await? {
                for index in 0..batch.num_rows() {
                    let finished = finished(&batch, index).map_err(|what| self.build_row(what))?;
                    if last.as_ref().is_none_or(|(other, _, _)| *other < finished) {
                        last = Some((finished, file.clone(), before + index));
                    }
                }
                before += batch.num_rows();
            }
        }
        let Some((_, file, row)) = last else { return Ok(None) };
        let only = RowSelection::from(vec![RowSelector::skip(row), RowSelector::select(1)]);
        let mut batches = std::pin::pin!(self.read_file(&file, &self.schema, Some(only)).await?);
        while let Some(batch) = batches.try_next().await? {
            if batch.num_rows() > 0 {
                return parse(&batch, 0).map(Some).map_err(|what| self.build_row(what));
            }
        }
        Err(self.build_row("it is gone".to_owned()))
    }

    fn build_row(&self, what: String) -> Error {
        Error::BuildRow { table: self.id.clone(), what }
    }
}

fn row(table: &Table, build: &Build) -> Result<RecordBatch> {
    fn json(table: &Table, value: &impl Serialize) -> Result<Arc<dyn Array>> {
        let text = serde_json::to_string(value);
        let text = text.map_err(|e| Error::Rows { table: table.id.clone(), what: e.to_string() })?;
        Ok(Arc::new(StringArray::from(vec![text])))
    }
    let columns: Vec<(&str, Arc<dyn Array>)> = vec![
        ("build_id", Arc::new(StringArray::from(vec![build.build_id.clone()]))),
        ("finished_at", Arc::new(TimestampMicrosecondArray::from(vec![build.finished_at]).with_timezone("UTC"))),
        ("versions", json(table, &build.versions)?),
        ("bronze_version", Arc::new(Int64Array::from(vec![build.bronze_version]))),
        ("offsets", json(table, &build.offsets)?),
        ("counts", json(table, &build.counts)?),
    ];
    RecordBatch::try_from_iter(columns).map_err(|e| Error::Rows { table: table.id.clone(), what: e.to_string() })
}

/// What builds are ordered by: when they were finished, and their ids.
type Finished = (i64, String);

fn finished(batch: &RecordBatch, row: usize) -> Result<Finished, String> {
    let column = batch.column_by_name("finished_at").ok_or("finished_at is missing")?;
    let times = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or("finished_at is no timestamp")?;
    Ok((times.value(row), text(batch, "build_id", row)?.to_owned()))
}

fn text<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Result<&'a str, String> {
    let column = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    column.filter(|c| c.is_valid(row)).map(|c| c.value(row)).ok_or_else(|| format!("{name} is missing"))
}

fn parse(batch: &RecordBatch, row: usize) -> Result<Build, String> {
    let number = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("{name} is missing"));
    fn json<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
        serde_json::from_str(text).map_err(|e| format!("{name}: {e}"))
    }
    let (finished_at, build_id) = finished(batch, row)?;
    let bronze_version = number("bronze_version")?.as_primitive_opt::<Int64Type>();
    Ok(Build {
        build_id,
        finished_at,
        versions: json("versions", text(batch, "versions", row)?)?,
        bronze_version: bronze_version.map(|c| c.value(row)).ok_or("bronze_version is no number")?,
        offsets: json("offsets", text(batch, "offsets", row)?)?,
        counts: json("counts", text(batch, "counts", row)?)?,
    })
}
