//! Application transactions of a table, replayed from its log and then kept up to date.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{Array, cast::AsArray, types::Int64Type};
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use parquet::arrow::{ProjectionMask, async_reader::ParquetRecordBatchStreamBuilder};
use serde::Deserialize;

use crate::{
    error::{Cause, Error, Result, cause},
    parquet_file::ParquetFile,
    table::{Added, Table, damaged, load},
};

/// Transactions as of a version of the table.
#[derive(Debug, Clone)]
pub(crate) struct Transactions {
    pub(crate) version: i64,
    pub(crate) by_id: BTreeMap<String, i64>,
}

/// What a commit did, as far as others need to know.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Rows came or went, or may have.
    pub(crate) data_change: bool,
    /// Columns or layout changed, or may have.
    pub(crate) metadata: bool,
    /// Files were taken away.
    pub(crate) removes: bool,
    pub(crate) added: Added,
    pub(crate) transactions: Vec<(String, i64)>,
}

/// What others did between two versions.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) rows: bool,
    pub(crate) columns: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<FileAction>,
    remove: Option<FileAction>,
    txn: Option<Txn>,
    meta_data: Option<serde::de::IgnoredAny>,
    protocol: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileAction {
    data_change: bool,
    size: Option<u64>,
    stats: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: u64,
}

impl FileAction {
    fn added(&self) -> Added {
        let stats: Stats = self.stats.as_deref().and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
        Added { files: 1, rows: stats.num_records, bytes: self.size.unwrap_or(0) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

impl Table {
    /// Brings the transactions to the version of the snapshot.
    pub(crate) async fn catch_up(&mut self) -> Result<()> {
        let target = self.version();
        let known = self.transactions.take().filter(|t| t.version <= target);
        let mut state = match known {
            Some(state) => state,
            None => self.replay_checkpoint(target).await?,
        };
        while state.version < target {
            match self.log_entry(state.version + 1).await? {
                Some(entry) => {
                    state.by_id.extend(entry.transactions);
                    state.version += 1;
                }
                // Cleaned up meanwhile: a newer checkpoint has it.
                None => {
                    let renewed = self.replay_checkpoint(target).await?;
                    if renewed.version <= state.version {
                        let what = format!("log entry {} is missing", state.version + 1);
                        return Err(damaged(&self.id, &self.place(), what));
                    }
                    state = renewed;
                }
            }
        }
        self.transactions = Some(state);
        Ok(())
    }

    /// Moves to the newest version by reading the log entries in between, and says what they did.
    pub(crate) async fn follow(&mut self) -> Result<Seen> {
        let (mut seen, mut files_changed, before) = (Seen::default(), false, self.version);
        while let Some(entry) = self.log_entry(self.version + 1).await? {
            self.version += 1;
            self.ahead += entry.added;
            seen.rows |= entry.data_change;
            seen.columns |= entry.metadata;
            files_changed |= entry.removes || entry.metadata;
            if let Some(state) = self.transactions.as_mut().filter(|t| t.version + 1 == self.version) {
                state.version = self.version;
                state.by_id.extend(entry.transactions);
            }
        }
        if self.version == before && !self.has_log_entry(before).await? {
            // So far behind that clean-up overtook it: any rows may have come and gone.
            let (schema, placing) = (Arc::clone(&self.schema), Arc::clone(&self.placing));
            self.snapshot = load(&self.lake, &self.id, None).await?;
            self.reread()?;
            return Ok(Seen { rows: true, columns: schema != self.schema || placing != self.placing });
        }
        if files_changed {
            self.bring_up().await?;
        }
        Ok(seen)
    }

    /// Whether a log entry is there. That of the newest version always is.
    pub(crate) async fn has_log_entry(&self, version: i64) -> Result<bool> {
        let path = entry_path(version);
        match self.delta().object_store().head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.log_error(&path, &e)),
        }
    }

    /// A log entry; `None` when it is not there (any more).
    pub(crate) async fn log_entry(&self, version: i64) -> Result<Option<Entry>> {
        let path = entry_path(version);
        let Some(bytes) = self.log_text(version).await? else { return Ok(None) };
        let mut entry = Entry::default();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let line: Line = serde_json::from_slice(line).map_err(|e| self.log_error(&path, &e))?;
            entry.data_change |= [&line.add, &line.remove].into_iter().flatten().any(|file| file.data_change);
            entry.removes |= line.remove.is_some();
            entry.added += line.add.as_ref().map(FileAction::added).unwrap_or_default();
            entry.metadata |= line.meta_data.is_some() || line.protocol.is_some();
            entry.transactions.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        }
        Ok(Some(entry))
    }

    /// Lines of a log entry, one action each; `None` when it is not there (any more).
    pub(crate) async fn log_text(&self, version: i64) -> Result<Option<Bytes>> {
        let path = entry_path(version);
        let bytes = match self.delta().object_store().get(&path).await {
            Ok(found) => found.bytes().await,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => Err(e),
        };
        bytes.map(Some).map_err(|e| self.log_error(&path, &e))
    }

    /// Transactions of the newest checkpoint up to a version; of nothing when there is none.
    async fn replay_checkpoint(&self, target: i64) -> Result<Transactions> {
        let store = self.delta().object_store();
        let log = Path::from("_delta_log");
        let listed = store.list(Some(&log)).try_collect::<Vec<_>>().await.map_err(|e| self.log_error(&log, &e))?;
        let mut parts: BTreeMap<i64, Vec<Path>> = BTreeMap::new();
        for meta in listed {
            if let Some(version) = meta.location.filename().and_then(checkpoint_version)
                && version <= target
            {
                parts.entry(version).or_default().push(meta.location);
            }
        }
        let Some((version, files)) = parts.pop_last() else {
            return Ok(Transactions { version: -1, by_id: BTreeMap::new() });
        };
        let mut by_id = BTreeMap::new();
        for file in files {
            read_transactions(store.clone(), &file, &mut by_id).await.map_err(|e| self.log_error(&file, e.as_ref()))?;
        }
        Ok(Transactions { version, by_id })
    }

    fn log_error(&self, location: &Path, source: &(dyn std::error::Error + 'static)) -> Error {
        match cause("read", &self.place().join(location.as_ref()), source) {
            Some(Cause::Missing(error) | Cause::Failed(error)) => error,
            None => damaged(&self.id, &self.place(), format!("{location}: {source}")),
        }
    }
}

fn entry_path(version: i64) -> Path {
    Path::from_iter(["_delta_log".to_owned(), format!("{version:020}.json")])
}

/// Version of a log entry.
pub(crate) fn entry_version(name: &str) -> Option<i64> {
    let version = name.strip_suffix(".json")?;
    (version.len() == 20).then(|| version.parse().ok()).flatten()
}

/// Version of a classic checkpoint, in one or several parts.
pub(crate) fn checkpoint_version(name: &str) -> Option<i64> {
    let (version, rest) = name.split_once('.')?;
    let classic = rest == "checkpoint.parquet" || (rest.starts_with("checkpoint.") && rest.ends_with(".parquet"));
    (classic && version.len() == 20).then(|| version.parse().ok()).flatten()
}

async fn read_transactions(
    store: std::sync::Arc<dyn ObjectStore>,
    file: &Path,
    into: &mut BTreeMap<String, i64>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let reader = ParquetFile::new(store, file.clone());
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn.appId", "txn.version"]);
    let mut batches = builder.with_projection(mask).build()?;
    while let Some(batch) = batches.try_next().await? {
        let Some(txn) = batch.column_by_name("txn").and_then(|column| column.as_struct_opt()) else { continue };
        let ids = txn.column_by_name("appId").and_then(|column| column.as_string_opt::<i32>());
        let versions = txn.column_by_name("version").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(ids), Some(versions)) = (ids, versions) else { continue };
        let rows =
            (0..batch.num_rows()).filter(|&row| txn.is_valid(row) && ids.is_valid(row) && versions.is_valid(row));
        into.extend(rows.map(|row| (ids.value(row).to_owned(), versions.value(row))));
    }
    Ok(())
}
