//! Commits: what they take away and add, in one step, or not at all.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use arrow_array::RecordBatch;
use bytes::Bytes;
use deltalake::{
    kernel::{
        Action, Add, Transaction,
        transaction::{CommitData, TransactionError},
    },
    logstore::CommitOrBytes,
    protocol::{DeltaOperation, SaveMode},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    evolve,
    keys::KeySet,
    offsets::OffsetRange,
    spec::Layer,
    table::{Added, Table, check_layout},
    writer::Written,
};

/// A commit that loses this often against others gives up.
const MAX_ATTEMPTS: usize = 100;
/// The first pause after a refusal without another's entry to show for it; the following ones are longer.
const UNDECIDED: Duration = Duration::from_millis(10);

/// Rows that a commit takes away.
#[derive(Debug, Clone)]
pub enum Delete {
    /// None.
    Nothing,
    /// All. With rows of a [`Table::writer_for`], the columns and the layout are replaced too.
    All,
    /// Those whose values in the columns of `keys` equal a row of it; `null` equals `null`. Only files that hold
    /// such a row are rewritten.
    Keys {
        /// Columns named as in the table; types are converted.
        keys: RecordBatch,
        /// Only files of these values of the first partition column (dates as `2026-01-31`) are looked at.
        partitions: Option<Vec<String>>,
        /// Only files whose values in this timestamp column can lie in `from..=to` (microseconds) are looked at.
        window: Option<(String, i64, i64)>,
    },
}

/// Why a commit was made; kept in the log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CommitNote {
    /// What was done, as `derive` or `build`.
    pub operation: String,
    /// The build that it belongs to.
    pub build_id: Option<String>,
    /// Anything else.
    #[serde(default)]
    pub extra: serde_json::Value,
}

impl CommitNote {
    /// A note with an operation only.
    pub fn new(operation: &str) -> Self {
        Self { operation: operation.to_owned(), ..Self::default() }
    }

    /// Adds the build.
    pub fn of_build(mut self, build_id: &str) -> Self {
        self.build_id = Some(build_id.to_owned());
        self
    }
}

/// What must still hold when others have committed first.
#[derive(Debug, Clone)]
pub(crate) enum Guard {
    /// The table stands at `from` of each range, and where it should in the transactions that are not to move.
    Offsets { ranges: Vec<OffsetRange>, unmoved: BTreeMap<String, i64> },
    /// The columns are the same.
    Columns,
    /// Neither rows nor columns changed; files that are taken away are still there.
    Untouched,
    /// Files that are taken away are still there and the columns are the same; other rows may have come.
    Files,
}

/// A commit to be.
pub(crate) struct Change {
    name: &'static str,
    operation: DeltaOperation,
    actions: Vec<Action>,
    guard: Guard,
    pub(crate) metadata: Vec<(String, serde_json::Value)>,
    pub(crate) transactions: Vec<Transaction>,
}

impl Change {
    pub(crate) fn new(name: &'static str, operation: DeltaOperation, actions: Vec<Action>, guard: Guard) -> Self {
        Self { name, operation, actions, guard, metadata: Vec::new(), transactions: Vec::new() }
    }

    fn metadata(&self) -> HashMap<String, serde_json::Value> {
        self.metadata.iter().cloned().collect()
    }
}

impl Table {
    /// Takes rows away and adds the written ones, in one step, and returns the new version. Without anything to do
    /// it commits nothing and returns the version it stands at.
    ///
    /// A commit of a build is made from the very rows that this value stands at, even if it only adds some: two builds
    /// don't mix, although one of them may not know yet that it has lost its lease.
    ///
    /// # Errors
    /// [`Error::OffsetsRequired`] for rows into bronze. [`Error::Conflict`] when another writer changed rows
    /// meanwhile. [`Error::LeaseLost`] when the lease of builds was lost. [`Error::SchemaChanged`] when `written` has other columns and
    /// not all rows are replaced.
    pub async fn commit(&mut self, delete: Delete, written: Written, note: CommitNote) -> Result<i64> {
        check_layout(self)?;
        if self.id.layer == Layer::Bronze && written.rows > 0 {
            return Err(Error::OffsetsRequired { table: self.id.clone() });
        }
        self.lake.inner.storage.check_build_lease(false).await?;
        let only_adds = matches!(delete, Delete::Nothing) && note.build_id.is_none();
        let guard = if only_adds { Guard::Columns } else { Guard::Untouched };
        let mode = if matches!(delete, Delete::All) { SaveMode::Overwrite } else { SaveMode::Append };
        if !matches!(delete, Delete::Nothing) {
            self.bring_up().await?;
        }
        let mut actions = Vec::new();
        if let Some(renewed) = self.renewed_metadata(&delete, &written)? {
            actions.push(Action::Metadata(renewed));
        }
        actions.extend(self.removals(&delete).await?);
        actions.extend(written.adds.into_iter().map(Action::Add));
        if actions.is_empty() {
            return Ok(self.version());
        }
        let partition_by = Some(self.placing.partition_by.clone());
        let operation = match delete {
            Delete::Keys { .. } => DeltaOperation::Delete { predicate: None },
            _ => DeltaOperation::Write { mode, partition_by, predicate: None },
        };
        let mut change = Change::new("commit", operation, actions, guard);
        change.metadata.push(("streamreel.note".to_owned(), serde_json::json!(note)));
        self.apply(change).await
    }

    /// Metadata to commit when the written rows have other columns or another layout than the table.
    fn renewed_metadata(&self, delete: &Delete, written: &Written) -> Result<Option<deltalake::kernel::Metadata>> {
        let Some(shape) = &written.shape else { return Ok(None) };
        let wanted = evolve::stored(self, &shape.schema)?;
        let same_columns = wanted.fields() == self.schema.fields();
        if same_columns && *shape.placing == *self.placing {
            return Ok(None);
        }
        if !matches!(delete, Delete::All) {
            let what = "rows were written for other columns than it has now".to_owned();
            return Err(Error::SchemaChanged { table: self.id.clone(), path: self.place(), what });
        }
        evolve::metadata(self, &wanted, &shape.placing).map(Some)
    }

    /// Removes, and adds of what is left of rewritten files.
    async fn removals(&self, delete: &Delete) -> Result<Vec<Action>> {
        match delete {
            Delete::Nothing => Ok(Vec::new()),
            Delete::All => Ok(self.files().iter().map(|file| Action::Remove(file.remove_action(true))).collect()),
            Delete::Keys { keys, partitions, window } => {
                let keys = KeySet::new(self, keys)?;
                self.remove_keys(&keys, partitions.as_deref(), window.as_ref()).await
            }
        }
    }

    /// Makes the commit as the version after this value's; when another writer was first, looks at what it did and
    /// tries again from there if the guard allows. The library's own commit is not used: it lets a removal pass
    /// although compaction has replaced that very file, and it renews the list of all files with every commit.
    pub(crate) async fn apply(&mut self, change: Change) -> Result<i64> {
        self.secure_data(&change.actions).await?;
        let (operation, actions) = (change.operation.clone(), change.actions.clone());
        let mut metadata = change.metadata();
        // No two entries are alike, so that one can be told to be ours.
        metadata.insert("streamreel.commit".to_owned(), serde_json::json!(Uuid::new_v4()));
        let data = CommitData::new(actions, operation, metadata, change.transactions.clone());
        let bytes = data.get_bytes().map_err(|e| self.error(change.name, e.into()))?;
        let first = self.version;
        for attempt in 0..MAX_ATTEMPTS {
            let before = self.version;
            // After a clean-up of the log the place of an old version is free again: it must not be taken.
            if self.has_log_entry(self.version).await? && self.try_commit(&change, bytes.clone()).await? {
                self.after_commit(&change).await?;
                return Ok(self.version);
            }
            self.check_guard(&change).await?;
            if self.version == before {
                // A store may refuse while it has not decided on another's entry yet.
                tokio::time::sleep(UNDECIDED * u32::try_from(attempt + 1).unwrap_or(1)).await;
            }
        }
        Err(self.conflict(&change, self.never_first(first)))
    }

    /// Why no attempt since version `first` has come through.
    fn never_first(&self, first: i64) -> String {
        if self.version > first {
            return format!("others were first {MAX_ATTEMPTS} times");
        }
        let (next, place) = (first + 1, self.place());
        format!("the store at {place} refuses entry {next} of its log as one that exists, but has none to show")
    }

    /// Whether the entry after this version could be taken. The answer may have been lost and the request sent again, so an
    /// entry that is there may be this one.
    async fn try_commit(&self, change: &Change, bytes: Bytes) -> Result<bool> {
        let version = u64::try_from(self.version + 1).unwrap_or(0);
        let entry = CommitOrBytes::LogBytes(bytes.clone());
        let written = self.delta().log_store().write_commit_entry(version, entry, Uuid::new_v4()).await;
        let Err(error) = written else { return Ok(true) };
        match (self.log_text(self.version + 1).await, error) {
            (Ok(Some(found)), _) if found == bytes => Ok(true),
            (_, TransactionError::VersionAlreadyExists(_)) => Ok(false),
            (_, error) => Err(self.error(change.name, error.into())),
        }
    }

    async fn after_commit(&mut self, change: &Change) -> Result<()> {
        self.version += 1;
        if let Some(state) = self.transactions.as_mut().filter(|t| t.version + 1 == self.version) {
            state.version = self.version;
            state.by_id.extend(change.transactions.iter().map(|t| (t.app_id.clone(), t.version)));
        }
        let mut only_adds = true;
        for action in &change.actions {
            match action {
                Action::Add(add) => self.ahead += added(add),
                _ => only_adds = false,
            }
        }
        if !only_adds {
            self.bring_up().await?;
        }
        let every = self.lake.settings().checkpoint_every.max(1);
        if u64::try_from(self.version).is_ok_and(|v| v > 0 && v.is_multiple_of(every)) {
            // The commit stands whatever becomes of the checkpoint; the next one makes up for it.
            let _ = self.checkpoint().await;
        }
        Ok(())
    }

    /// Moves to the newest version and checks that the change still makes sense there.
    async fn check_guard(&mut self, change: &Change) -> Result<()> {
        let seen = self.follow().await?;
        if seen.columns {
            return Err(self.conflict(change, "its columns changed".to_owned()));
        }
        match &change.guard {
            Guard::Offsets { ranges, unmoved } => {
                self.catch_up().await?;
                self.check_stands_at(ranges, unmoved)
            }
            Guard::Columns => Ok(()),
            Guard::Untouched if seen.rows => Err(self.conflict(change, "its rows changed".to_owned())),
            Guard::Untouched | Guard::Files => self.check_files(change),
        }
    }

    fn check_files(&self, change: &Change) -> Result<()> {
        let active: HashSet<String> = self.files().iter().map(|file| file.path().into_owned()).collect();
        let gone = change.actions.iter().find_map(|action| match action {
            Action::Remove(remove) if !active.contains(&remove.path) => Some(remove.path.clone()),
            _ => None,
        });
        gone.map_or(Ok(()), |path| Err(self.conflict(change, format!("{path} was replaced"))))
    }

    fn conflict(&self, change: &Change, what: String) -> Error {
        Error::Conflict { operation: change.name.to_owned(), table: self.id.clone(), what }
    }

    /// Waits until the added files survive a power cut.
    async fn secure_data(&self, actions: &[Action]) -> Result<()> {
        let root = self.place();
        let added = actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(root.join(&add.path)),
            _ => None,
        });
        self.lake.inner.storage.secure(added.collect()).await
    }
}

fn added(add: &Add) -> Added {
    let stats: serde_json::Value = add.stats.as_deref().and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
    let rows = stats.get("numRecords").and_then(serde_json::Value::as_u64).unwrap_or(0);
    Added { files: 1, rows, bytes: u64::try_from(add.size).unwrap_or(0) }
}
