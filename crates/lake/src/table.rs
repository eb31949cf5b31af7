//! A table at a version: what is in it, and how it is loaded and made.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow_schema::SchemaRef;
use deltalake::{
    DeltaTable, DeltaTableBuilder, DeltaTableError,
    kernel::{
        StructField, StructType,
        engine::arrow_conversion::{TryIntoArrow, TryIntoKernel},
        transaction::{CommitProperties, TransactionError},
    },
    protocol::SaveMode,
};

use crate::{
    error::{self, Cause, Error, Result},
    lake::{LAYOUT, Lake},
    place::Place,
    protocol,
    replay::Transactions,
    spec::{TableId, TableSpec},
    writer::TableWriter,
};

/// Table property with the layout.
const LAYOUT_PROPERTY: &str = "streamreel.layout";
/// Table property with the slots: `<timestamp column>:<seconds>`.
const CLUSTER_PROPERTY: &str = "streamreel.clusterBy";
/// Delta's own property for the columns with statistics.
const STATS_PROPERTY: &str = "delta.dataSkippingStatsColumns";

/// Snapshots that are updated step by step get slower with every step; after so many they are loaded anew.
const STEPS_OF_A_SNAPSHOT: i64 = 32;

/// A table at a version. Operations that commit move it to the version they made; clones do not follow.
///
/// Commits that only add files move the version on and leave the snapshot where it is, so that a commit costs the
/// same however many files there are. What needs the files brings the snapshot up first.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) lake: Lake,
    pub(crate) id: TableId,
    pub(crate) snapshot: Snapshot,
    pub(crate) version: i64,
    /// What was added between the snapshot and the version.
    pub(crate) ahead: Added,
    pub(crate) schema: SchemaRef,
    pub(crate) placing: Arc<Placing>,
    pub(crate) transactions: Option<Transactions>,
}

/// The files and metadata of a version.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) delta: DeltaTable,
    /// The version that it was loaded at; it was updated since.
    loaded: i64,
}

/// Files added, and rows and bytes in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Added {
    pub(crate) files: usize,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl std::ops::AddAssign for Added {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// Where a row of a table goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Placing {
    pub(crate) partition_by: Vec<String>,
    pub(crate) cluster_by: Option<(String, Duration)>,
    pub(crate) stats: Option<Vec<String>>,
}

impl Placing {
    pub(crate) fn of(spec: &TableSpec) -> Self {
        Self { partition_by: spec.partition_by.clone(), cluster_by: spec.cluster_by.clone(), stats: spec.stats.clone() }
    }
}

impl Table {
    pub(crate) fn new(lake: Lake, id: TableId, snapshot: Snapshot) -> Result<Self> {
        let path = lake.table_place(&id);
        let state = snapshot.delta.snapshot().map_err(|e| error("open", &id, &path, e))?;
        protocol::check(&id, &path, &snapshot.delta)?;
        let schema = arrow_schema(&state.schema()).map_err(|e| damaged(&id, &path, e.to_string()))?;
        let placing = Arc::new(read_placing(state.metadata()));
        let (version, ahead) = (snapshot.version(), Added::default());
        Ok(Self { lake, id, snapshot, version, ahead, schema, placing, transactions: None })
    }

    /// Its name.
    pub fn id(&self) -> &TableId {
        &self.id
    }

    /// A UUID given when the table was made: a table that is deleted and made anew has another, one that is moved keeps it.
    ///
    /// # Errors
    /// A table without metadata is damaged.
    pub fn identity(&self) -> Result<String> {
        let state = self.delta().snapshot().map_err(|e| self.error("ask for the identity of", e))?;
        Ok(state.metadata().id().to_owned())
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.lake.table_place(&self.id)
    }

    /// The version that this value stands at.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its columns, those of the partitions included.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The columns that it is partitioned by.
    pub fn partition_by(&self) -> &[String] {
        &self.placing.partition_by
    }

    /// Number of rows, from the statistics of the files.
    pub fn rows(&self) -> u64 {
        self.ahead.rows + self.files().iter().map(|file| file.num_records().unwrap_or(0) as u64).sum::<u64>()
    }

    /// Number of data files and their size in bytes.
    pub fn size(&self) -> (usize, u64) {
        let files = self.files();
        let bytes: u64 = files.iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum();
        (files.len() + self.ahead.files, bytes + self.ahead.bytes)
    }

    /// Moves on to the newest version.
    pub async fn refresh(&mut self) -> Result<()> {
        self.follow().await.map(|_| ())
    }

    /// The table library's view of the snapshot.
    pub(crate) fn delta(&self) -> &DeltaTable {
        &self.snapshot.delta
    }

    /// Brings the snapshot to the version.
    pub(crate) async fn bring_up(&mut self) -> Result<()> {
        if self.snapshot.version() != self.version {
            self.snapshot = self.snapshot.clone().at(&self.lake, &self.id, self.version).await?;
            self.reread()?;
        }
        Ok(())
    }

    /// Takes over what the metadata of a new snapshot say.
    pub(crate) fn reread(&mut self) -> Result<()> {
        protocol::check(&self.id, &self.place(), self.delta())?;
        let state = self.delta().snapshot().map_err(|e| self.error("refresh", e))?;
        let (placing, schema) = (read_placing(state.metadata()), arrow_schema(&state.schema()));
        self.placing = Arc::new(placing);
        self.schema = schema.map_err(|e| damaged(&self.id, &self.place(), e.to_string()))?;
        self.version = self.snapshot.version();
        self.ahead = Added::default();
        self.lake.remember(&self.id, &self.snapshot);
        Ok(())
    }

    /// Application transactions: id -> version. For bronze `<log>/<topic>/<partition>` -> next offset.
    pub async fn transactions(&mut self) -> Result<BTreeMap<String, i64>> {
        self.catch_up().await?;
        Ok(self.transactions.as_ref().map(|t| t.by_id.clone()).unwrap_or_default())
    }

    /// A writer of rows for this table; nothing is visible before [`Table::commit`].
    pub fn writer(&self) -> TableWriter {
        TableWriter::open(self, Arc::clone(&self.schema), Arc::clone(&self.placing))
    }

    /// A writer of rows for this table with the columns and layout of `spec`, for [`crate::Delete::All`] only:
    /// that commit replaces rows and columns at once.
    pub fn writer_for(&self, spec: &TableSpec) -> TableWriter {
        TableWriter::open(self, Arc::clone(&spec.schema), Arc::new(Placing::of(spec)))
    }

    pub(crate) fn error(&self, operation: &'static str, source: DeltaTableError) -> Error {
        error(operation, &self.id, &self.place(), source)
    }
}

/// Loads a table at a version, or at its newest.
pub(crate) async fn load(lake: &Lake, id: &TableId, version: Option<i64>) -> Result<Snapshot> {
    let path = lake.table_place(id);
    let mut delta = build(lake, id)?;
    match version {
        None => {
            if let Err(error) = delta.load().await {
                protocol::check_log(id, &path, &*delta.object_store()).await?;
                return Err(load_error(id, &path, error));
            }
        }
        Some(version) => {
            let wanted = u64::try_from(version).map_err(|_| Error::NoVersion { table: id.clone(), version })?;
            delta.load_version(wanted).await.map_err(|e| match error::cause("open", &path, &e) {
                Some(_) => load_error(id, &path, e),
                None => Error::NoVersion { table: id.clone(), version },
            })?;
        }
    }
    Ok(Snapshot::new(delta))
}

impl Snapshot {
    pub(crate) fn new(delta: DeltaTable) -> Self {
        let loaded = version_of(&delta);
        Self { delta, loaded }
    }

    pub(crate) fn version(&self) -> i64 {
        version_of(&self.delta)
    }

    /// The newest snapshot, from this one.
    pub(crate) async fn newest(mut self, lake: &Lake, id: &TableId) -> Result<Self> {
        let before = self.version();
        let updated = self.delta.update_incremental(None).await;
        let steps = self.version() - self.loaded;
        // An error may only mean that the log entries that it stood on were cleaned up.
        if updated.is_err() || (self.version() != before && steps > STEPS_OF_A_SNAPSHOT) {
            return load(lake, id, None).await;
        }
        Ok(self)
    }

    /// The snapshot of a later version, from this one.
    async fn at(mut self, lake: &Lake, id: &TableId, version: i64) -> Result<Self> {
        let near = version >= self.version() && version - self.loaded <= STEPS_OF_A_SNAPSHOT;
        if let (true, Ok(wanted)) = (near, u64::try_from(version))
            && self.delta.update_incremental(Some(wanted)).await.is_ok()
        {
            return Ok(self);
        }
        load(lake, id, Some(version)).await
    }
}

fn version_of(delta: &DeltaTable) -> i64 {
    delta.version().map_or(-1, |v| i64::try_from(v).unwrap_or(i64::MAX))
}

fn build(lake: &Lake, id: &TableId) -> Result<DeltaTable> {
    let path = lake.table_place(id);
    let url = path.url()?;
    DeltaTableBuilder::from_url(url.clone())
        .map(|builder| builder.with_storage_backend(lake.inner.storage.objects(), url))
        .and_then(DeltaTableBuilder::build)
        .map_err(|e| error("open", id, &path, e))
}

/// Makes a table at version 0.
pub(crate) async fn create(lake: &Lake, spec: &TableSpec) -> Result<Table> {
    let path = lake.table_place(&spec.id);
    lake.inner.storage.prepare(&path).await?;
    let fields: Vec<StructField> = delta_schema(&spec.id, &spec.schema)?.fields().cloned().collect();
    let delta = build(lake, &spec.id)?
        .create()
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_table_name(spec.id.to_string())
        .with_columns(fields)
        .with_partition_columns(spec.partition_by.clone())
        .with_configuration(properties(&Placing::of(spec)).into_iter().map(|(k, v)| (k, Some(v))))
        .with_raise_if_key_not_exists(false)
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .await
        .map_err(|e| error("create", &spec.id, &path, e))?;
    let snapshot = Snapshot::new(delta);
    lake.remember(&spec.id, &snapshot);
    Table::new(lake.clone(), spec.id.clone(), snapshot)
}

/// Table properties of a layout. All are plain metadata, none asks readers for a feature.
pub(crate) fn properties(placing: &Placing) -> Vec<(String, String)> {
    let mut found = vec![
        (LAYOUT_PROPERTY.to_owned(), LAYOUT.to_owned()),
        // Checkpoints and clean-up are ours: they keep what published builds stand on.
        ("delta.enableExpiredLogCleanup".to_owned(), "false".to_owned()),
    ];
    if let Some((column, slot)) = &placing.cluster_by {
        found.push((CLUSTER_PROPERTY.to_owned(), format!("{column}:{}", slot.as_secs())));
    }
    if let Some(stats) = &placing.stats {
        found.push((STATS_PROPERTY.to_owned(), stats.join(",")));
    }
    found
}

fn read_placing(metadata: &deltalake::kernel::Metadata) -> Placing {
    let property = |name: &str| metadata.configuration().get(name);
    let cluster_by = property(CLUSTER_PROPERTY).and_then(|text| {
        let (column, seconds) = text.rsplit_once(':')?;
        Some((column.to_owned(), Duration::from_secs(seconds.parse().ok()?)))
    });
    let stats = property(STATS_PROPERTY).map(|text| text.split(',').map(|c| c.trim().to_owned()).collect());
    Placing { partition_by: metadata.partition_columns().to_vec(), cluster_by, stats }
}

/// Refuses to write a table that says nothing of our layout, or another one.
pub(crate) fn check_layout(table: &Table) -> Result<()> {
    let state = table.delta().snapshot().map_err(|e| table.error("open", e))?;
    let found = state.metadata().configuration().get(LAYOUT_PROPERTY);
    match found.map(String::as_str) {
        Some(LAYOUT) => Ok(()),
        found => Err(Error::Layout {
            path: table.place(),
            found: found.unwrap_or("none").to_owned(),
            expected: LAYOUT.to_owned(),
            hint: "move the folder away and build it again",
        }),
    }
}

pub(crate) fn arrow_schema(schema: &StructType) -> Result<SchemaRef, arrow_schema::ArrowError> {
    Ok(Arc::new(schema.try_into_arrow()?))
}

pub(crate) fn delta_schema(id: &TableId, schema: &SchemaRef) -> Result<StructType> {
    schema.as_ref().try_into_kernel().map_err(|e: arrow_schema::ArrowError| Error::Rows {
        table: id.clone(),
        what: format!("a column's type can't be stored: {e}"),
    })
}

/// Gives a library error the name of what failed: the disk, a lost race, or the library.
pub(crate) fn error(operation: &'static str, id: &TableId, path: &Place, source: DeltaTableError) -> Error {
    if let Some(Cause::Missing(error) | Cause::Failed(error)) = error::cause(operation, path, &source) {
        return error;
    }
    if is_lost_race(&source) {
        let what = "it changed meanwhile".to_owned();
        return Error::Conflict { operation: operation.to_owned(), table: id.clone(), what };
    }
    Error::Delta { operation, table: id.clone(), path: path.clone(), source: Box::new(source) }
}

/// Whether a commit failed because the version that it would have made exists, or its own is cleaned up already.
pub(crate) fn is_lost_race(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::InvalidVersion(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_) | TransactionError::VersionAlreadyExists(_)
            }
    )
}

pub(crate) fn damaged(id: &TableId, path: &Place, what: String) -> Error {
    Error::DamagedLog { table: id.clone(), path: path.clone(), what }
}

fn load_error(id: &TableId, path: &Place, source: DeltaTableError) -> Error {
    match error::cause("open", path, &source) {
        Some(Cause::Failed(error)) => error,
        _ => match source.to_string() {
            // What a checkpoint asks for, as the library says it.
            what if what.contains("Unsupported: ") => {
                Error::Unsupported { table: id.clone(), path: path.clone(), what }
            }
            what => damaged(id, path, what),
        },
    }
}
