//! Checkpoints, and what is thrown away: files and log entries that no kept version needs.

use std::time::{Duration, SystemTime};

use deltalake::{checkpoints, kernel::transaction::CommitProperties, operations::vacuum::VacuumMode};

use crate::{
    error::Result,
    table::{Snapshot, Table, check_layout},
};

/// What a vacuum deleted, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct VacuumReport {
    /// Paths below the table's folder.
    pub files: Vec<String>,
}

impl Table {
    /// Writes a checkpoint of the version that this value stands at, so that opening reads no log before it.
    pub async fn checkpoint(&self) -> Result<()> {
        let mut table = self.clone();
        table.bring_up().await?;
        checkpoints::create_checkpoint(table.delta(), None).await.map_err(|e| self.error("checkpoint", e))
    }

    /// Deletes data files that neither the newest version nor one of `keep_versions` needs, when they were
    /// removed (or, for files of commits that never happened, written) longer than `retention` ago. Unfinished files of
    /// writers that were killed go too, an hour after the last write; the report does not name them.
    ///
    /// Files of a commit that is being made look like those of one that never happened. So either `retention` is longer than
    /// any commit takes from its first file on, or nothing else writes to the table: else this loses rows that are committed
    /// meanwhile.
    ///
    /// Give `keep_versions` those of [`crate::Lake::kept_versions`]; readers of other versions may lose files.
    pub async fn vacuum(&mut self, retention: Duration, keep_versions: &[i64], dry_run: bool) -> Result<VacuumReport> {
        check_layout(self)?;
        self.refresh().await?;
        self.bring_up().await?;
        let keep: Vec<u64> = keep_versions.iter().filter_map(|version| u64::try_from(*version).ok()).collect();
        let retention = chrono::Duration::from_std(retention).unwrap_or(chrono::Duration::MAX);
        let properties =
            CommitProperties::default().with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        let vacuum = |dry_run| {
            let vacuum = self.delta().clone().vacuum().with_mode(VacuumMode::Full).with_keep_versions(&keep);
            vacuum
                .with_retention_period(retention)
                .with_enforce_retention_duration(false)
                .with_dry_run(dry_run)
                .with_commit_properties(properties.clone())
        };
        // A vacuum makes two entries in the log, even when it finds nothing.
        let (_, found) = vacuum(true).await.map_err(|e| self.error("vacuum", e))?;
        if dry_run {
            return Ok(VacuumReport { files: found.files_deleted });
        }
        let mut files = Vec::new();
        if !found.files_deleted.is_empty() {
            let (delta, done) = vacuum(false).await.map_err(|e| self.error("vacuum", e))?;
            self.snapshot = Snapshot::new(delta);
            self.reread()?;
            files = done.files_deleted;
        }
        self.lake.inner.storage.sweep(&self.place()).await?;
        Ok(VacuumReport { files })
    }

    /// Deletes log entries older than `retention` that neither the newest version nor one of `keep_versions` needs,
    /// and returns how many. History does not reach behind them.
    pub async fn cleanup_log(&mut self, retention: Duration, keep_versions: &[i64]) -> Result<usize> {
        check_layout(self)?;
        self.refresh().await?;
        let oldest = keep_versions.iter().copied().chain([self.version()]).min().unwrap_or_default();
        let cutoff = millis_before_now(retention);
        // What replaces entries must be safe before they go.
        self.lake.inner.storage.secure_log(&self.place()).await?;
        let kept = u64::try_from(oldest).unwrap_or(0);
        let log_store = self.delta().log_store();
        let deleted = checkpoints::cleanup_expired_logs_for(kept, log_store.as_ref(), cutoff, None)
            .await
            .map_err(|e| self.error("clean up the log of", e))?;
        if deleted > 0 {
            // The snapshot names log files that are gone now.
            self.snapshot = crate::table::load(&self.lake, &self.id, None).await?;
            self.reread()?;
        }
        Ok(deleted)
    }
}

/// Compared with when log files were written, which the same clock says.
#[expect(clippy::disallowed_methods, reason = "the age of files is by the machine's clock")]
fn millis_before_now(age: Duration) -> i64 {
    let then = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let since = then.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
