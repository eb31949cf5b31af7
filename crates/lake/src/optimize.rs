//! Compaction: few files of a good size instead of many small ones. Rows stay as they are.

use std::{collections::BTreeMap, sync::Arc};

use deltalake::{
    kernel::{Action, LogicalFileView},
    protocol::DeltaOperation,
};
use futures::TryStreamExt;

use crate::{
    commit::{Change, Guard},
    error::{Error, Result},
    files::Bounds,
    table::{Placing, Table, check_layout},
    writer::TableWriter,
};

/// Fewer small files than this in a partition are left alone.
const MIN_FILES: usize = 4;

/// Which partitions are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizeScope {
    /// All but the newest: it would be compacted over and over. A table without partitions is compacted.
    Closed,
    /// All.
    All,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct OptimizeReport {
    /// Files that were replaced.
    pub files_removed: usize,
    /// Files that replace them.
    pub files_added: usize,
    /// Rows in them.
    pub rows: u64,
    /// The version afterwards.
    pub version: i64,
}

impl Table {
    /// Compacts small files, a partition a commit. Versions before keep their files until vacuum.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another writer rewrote a file meanwhile; partitions done before stay done.
    pub async fn optimize(&mut self, scope: OptimizeScope) -> Result<OptimizeReport> {
        check_layout(self)?;
        self.refresh().await?;
        self.bring_up().await?;
        let mut partitions: BTreeMap<Vec<Option<String>>, Vec<LogicalFileView>> = BTreeMap::new();
        for file in self.files() {
            let values = file.partition_values_map();
            let key = self.placing.partition_by.iter().map(|name| values.get(name).cloned().flatten()).collect();
            partitions.entry(key).or_default().push(file);
        }
        let newest = partitions.keys().filter_map(|key| key.first().cloned().flatten()).max();
        let mut report = OptimizeReport::default();
        for (key, files) in partitions {
            let closed = key.is_empty() || key.first().cloned().flatten() != newest;
            if scope == OptimizeScope::All || closed {
                self.compact(files, &mut report).await?;
            }
        }
        report.version = self.version();
        Ok(report)
    }

    async fn compact(&mut self, files: Vec<LogicalFileView>, report: &mut OptimizeReport) -> Result<()> {
        let settings = self.lake.settings();
        let (target_bytes, target_rows) = (settings.target_file_bytes, settings.target_file_rows);
        let size = |file: &LogicalFileView| u64::try_from(file.size()).unwrap_or(0);
        let rows = |file: &LogicalFileView| file.num_records().unwrap_or(0);
        let mut small: Vec<_> =
            files.into_iter().filter(|f| size(f) < target_bytes / 2 && rows(f) < target_rows / 2).collect();
        if small.len() < MIN_FILES {
            return Ok(());
        }
        self.sort_by_time(&mut small);
        let mut groups: Vec<Vec<LogicalFileView>> = vec![Vec::new()];
        let (mut bytes, mut count) = (0, 0);
        for file in small {
            let full = bytes + size(&file) > target_bytes || count + rows(&file) > target_rows;
            if full {
                groups.push(Vec::new());
                (bytes, count) = (0, 0);
            }
            bytes += size(&file);
            count += rows(&file);
            if let Some(group) = groups.last_mut() {
                group.push(file);
            }
        }
        groups.retain(|group| group.len() > 1);
        if groups.is_empty() {
            return Ok(());
        }
        self.replace(groups, report).await
    }

    /// Oldest rows first, so that a file holds rows of one time.
    fn sort_by_time(&self, files: &mut [LogicalFileView]) {
        let column = self.placing.cluster_by.as_ref().map(|(column, _)| column.as_str());
        files.sort_by_cached_key(|file| {
            let least = column.and_then(|column| Bounds::of(file).timestamps(column)).map(|(least, _)| least);
            (least, file.modification_time(), file.path().into_owned())
        });
    }

    async fn replace(&mut self, groups: Vec<Vec<LogicalFileView>>, report: &mut OptimizeReport) -> Result<()> {
        let mut actions = Vec::new();
        // Slots would split again what is put together here.
        let placing = Arc::new(Placing { cluster_by: None, ..(*self.placing).clone() });
        let (mut removed, mut added, mut total) = (0, 0, 0);
        for group in groups {
            let mut writer = TableWriter::open(self, Arc::clone(&self.schema), Arc::clone(&placing));
            let expected: u64 = group.iter().map(|file| file.num_records().unwrap_or(0) as u64).sum();
            for file in &group {
                let mut batches = std::pin::pin!(self.read_file(file, &self.schema, None).await?);
                while let Some(batch) = batches.try_next().await? {
                    writer.write(batch).await?;
                }
            }
            let written = writer.finish().await?;
            if written.rows != expected {
                let what = format!("compaction read {} rows where the log has {expected}", written.rows);
                return Err(Error::DamagedLog { table: self.id.clone(), path: self.place(), what });
            }
            removed += group.len();
            added += written.adds.len();
            total += written.rows;
            actions.extend(group.iter().map(|file| Action::Remove(file.remove_action(false))));
            actions.extend(written.adds.into_iter().map(|mut add| {
                add.data_change = false;
                Action::Add(add)
            }));
        }
        let target_size = i64::try_from(self.lake.settings().target_file_bytes).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: None, target_size };
        self.apply(Change::new("optimize", operation, actions, Guard::Files)).await?;
        report.files_removed += removed;
        report.files_added += added;
        report.rows += total;
        Ok(())
    }
}
