//! What happened to a table, newest first, and back to where it was.

use std::collections::HashSet;

use deltalake::{
    kernel::{Action, LogicalFileView},
    protocol::DeltaOperation,
};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use object_store::ObjectStoreExt;
use serde::Serialize;

use crate::{
    commit::{Change, CommitNote, Guard},
    error::{Cause, Error, Result, cause},
    offsets::OffsetRange,
    table::{Table, check_layout},
};

/// Files that are looked for at once.
const ASKED_AT_ONCE: usize = 16;

/// A commit as the log tells it.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryEntry {
    /// The version that it made.
    pub version: i64,
    /// When, milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Delta's name of the operation.
    pub operation: String,
    /// What the commit says of itself.
    pub note: Option<CommitNote>,
    /// Source offsets that it covers.
    pub offsets: Vec<OffsetRange>,
}

impl Table {
    /// The last commits, newest first; `None`: all that the log still has.
    pub async fn history(&self, limit: Option<usize>) -> Result<Vec<HistoryEntry>> {
        let mut entries = Vec::new();
        for version in (0..=self.version()).rev().take(limit.unwrap_or(usize::MAX)) {
            let Some(info) = self.commit_info(version).await? else { break };
            entries.push(info);
        }
        Ok(entries)
    }

    async fn commit_info(&self, version: i64) -> Result<Option<HistoryEntry>> {
        let Some(text) = self.log_text(version).await? else { return Ok(None) };
        let info = text.split(|b| *b == b'\n').find_map(|line| match serde_json::from_slice(line) {
            Ok(Action::CommitInfo(info)) => Some(info),
            _ => None,
        });
        let info = info.unwrap_or_default();
        let read = |name: &str| info.info.get(name).cloned();
        Ok(Some(HistoryEntry {
            version,
            timestamp_ms: info.timestamp.unwrap_or_default(),
            note: read("streamreel.note").and_then(|v| serde_json::from_value(v).ok()),
            offsets: read("streamreel.offsets").and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default(),
            operation: info.operation.unwrap_or_default(),
        }))
    }

    /// Brings rows and columns back to those of an earlier version, as a new version, and returns that. Does nothing
    /// when no commit since then changed rows or columns, so a compaction is not undone.
    ///
    /// # Errors
    /// [`Error::NoVersion`]; [`Error::DataFile`] when a file of that version is gone; [`Error::Conflict`].
    pub async fn restore(&mut self, version: i64) -> Result<i64> {
        check_layout(self)?;
        self.refresh().await?;
        if version == self.version() || !self.changed_since(version).await? {
            return Ok(self.version());
        }
        self.bring_up().await?;
        let target = self.lake.open_table_at(&self.id, version).await?;
        let actions = self.difference(&target).await?;
        if actions.is_empty() {
            return Ok(self.version());
        }
        let operation = DeltaOperation::Restore { version: u64::try_from(version).ok(), datetime: None };
        self.apply(Change::new("restore", operation, actions, Guard::Untouched)).await
    }

    /// Whether a commit after `version` changed rows or columns.
    pub async fn changed_since(&self, version: i64) -> Result<bool> {
        if version < 0 || version > self.version() {
            return Err(Error::NoVersion { table: self.id.clone(), version });
        }
        for version in version + 1..=self.version() {
            match self.log_entry(version).await? {
                Some(entry) if !entry.data_change && !entry.metadata => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Actions that turn this version into the target.
    async fn difference(&self, target: &Table) -> Result<Vec<Action>> {
        let paths = |files: &[LogicalFileView]| files.iter().map(|f| f.path().into_owned()).collect::<HashSet<_>>();
        let (now, then) = (self.files(), target.files());
        let (now_paths, then_paths) = (paths(&now), paths(&then));
        let mut actions = Vec::new();
        let metadata = |table: &Table| table.delta().snapshot().map(|s| s.metadata().clone());
        let (old, new) = (metadata(target), metadata(self));
        let old = old.map_err(|e| self.error("restore", e))?;
        if old != new.map_err(|e| self.error("restore", e))? {
            actions.push(Action::Metadata(old));
        }
        let removed = now.iter().filter(|f| !then_paths.contains(f.path().as_ref()));
        actions.extend(removed.map(|f| Action::Remove(f.remove_action(true))));
        let back: Vec<&LogicalFileView> = then.iter().filter(|f| !now_paths.contains(f.path().as_ref())).collect();
        let there: Vec<BoxFuture<'_, Result<()>>> = back.iter().map(|file| self.check_there(file).boxed()).collect();
        stream::iter(there).buffer_unordered(ASKED_AT_ONCE).try_collect::<()>().await?;
        actions.extend(back.into_iter().map(|file| Action::Add(add_of(file))));
        Ok(actions)
    }

    async fn check_there(&self, file: &LogicalFileView) -> Result<()> {
        let path = file.object_store_path();
        let Err(error) = self.delta().object_store().head(&path).await else { return Ok(()) };
        let path = self.place().join(path.as_ref());
        match cause("look for", &path, &error) {
            Some(Cause::Failed(error)) => Err(error),
            _ => Err(Error::DataFile { table: self.id.clone(), path, what: "it is gone".to_owned() }),
        }
    }
}

/// The add action of a file, with its statistics.
fn add_of(file: &LogicalFileView) -> deltalake::kernel::Add {
    deltalake::kernel::Add {
        path: file.path().into_owned(),
        partition_values: file.partition_values_map(),
        size: file.size(),
        modification_time: file.modification_time(),
        data_change: true,
        stats: file.stats(),
        ..Default::default()
    }
}
