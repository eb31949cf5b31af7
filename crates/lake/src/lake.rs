//! Tables in three layers at a place.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use datafusion::execution::runtime_env::RuntimeEnv;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    evolve,
    place::Place,
    scratch::Scratch,
    spec::{Layer, TableId, TableSpec},
    storage::{self, MARKER, Storage},
    table::{self, Snapshot, Table},
};

/// Layout of the lake and its tables that this program writes.
pub(crate) const LAYOUT: &str = "1";
/// Snapshots of earlier versions that are kept in memory.
const PINNED_SNAPSHOTS: usize = 64;

/// Limits of a lake's sessions and writers, and how a bucket is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory that queries may use before they spill, in bytes.
    pub memory_bytes: usize,
    /// Where queries and builds spill, each lake value in a folder of its own; `None`: the system's temporary folder.
    pub spill_dir: Option<PathBuf>,
    /// Parallelism of queries; `None`: the number of cores.
    pub partitions: Option<usize>,
    /// Size at which a data file is closed, in bytes.
    pub target_file_bytes: u64,
    /// Rows at which a data file is closed.
    pub target_file_rows: usize,
    /// A checkpoint is written every so many commits of a table.
    pub checkpoint_every: u64,
    /// Whether a commit waits until it is on the disk.
    pub durable: bool,
    /// In a bucket: settings of the client by the names that `object_store` has for them, as `endpoint` and `region`. They
    /// are stronger than those of the environment (`AWS_*`).
    pub s3: BTreeMap<String, String>,
    /// In a bucket: how long a request is sent again when the store refuses or does not answer.
    pub store_timeout: Duration,
    /// In a bucket: how long after its last sign of life the holder of a lease counts as gone.
    pub lease_expiry: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            spill_dir: None,
            partitions: None,
            target_file_bytes: 128 << 20,
            target_file_rows: 1 << 20,
            checkpoint_every: 64,
            durable: true,
            s3: BTreeMap::new(),
            store_timeout: Duration::from_secs(30),
            lease_expiry: Duration::from_secs(15),
        }
    }
}

/// Tables at a place. Cheap to clone; clones share the snapshots they have read.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) runtime: OnceLock<Arc<RuntimeEnv>>,
    scratch: Mutex<Option<Scratch>>,
    latest: Mutex<HashMap<TableId, Snapshot>>,
    pinned: Mutex<HashMap<(TableId, i64), Snapshot>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("place", self.storage.place()).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    format: String,
    layout: String,
}

impl Lake {
    /// Opens the lake at a place (`<home>/data_lake`, or one in a bucket); makes it when there is nothing. Blocks.
    ///
    /// # Errors
    /// [`Error::NotALake`] when something else is there, [`Error::Layout`] for one of another layout;
    /// [`Error::BadPlace`] for a bucket with settings that can't be, or without conditional writes.
    pub fn open(place: impl Into<Place>) -> Result<Self> {
        Self::open_with(place, Settings::default())
    }

    /// As [`Lake::open`], with limits.
    pub fn open_with(place: impl Into<Place>, settings: Settings) -> Result<Self> {
        let place = place.into();
        let storage = storage::open(&place, &settings)?;
        match marker_of(&*storage)? {
            Some(marker) => Self::marked(storage, &marker, settings),
            None => {
                let marker = new_marker();
                storage.claim(&marker)?;
                // A folder that was not there had no full name before.
                Self::marked(storage::open(&place, &settings)?, &marker, settings)
            }
        }
    }

    /// Opens a lake that exists and writes nothing for it. Blocks.
    ///
    /// # Errors
    /// [`Error::NoLake`] when there is none, else as [`Lake::open`].
    pub fn open_read_only(place: impl Into<Place>) -> Result<Self> {
        Self::open_read_only_with(place, Settings::default())
    }

    /// As [`Lake::open_read_only`], with limits.
    pub fn open_read_only_with(place: impl Into<Place>, settings: Settings) -> Result<Self> {
        let place = place.into();
        let storage = storage::open(&place, &settings)?;
        let marker = marker_of(&*storage)?.ok_or_else(|| Error::NoLake { path: place })?;
        Self::marked(storage, &marker, settings)
    }

    fn marked(storage: Arc<dyn Storage>, marker: &str, settings: Settings) -> Result<Self> {
        check_marker(storage.place(), marker)?;
        let (runtime, scratch, latest, pinned) = Default::default();
        Ok(Self { inner: Arc::new(Inner { settings, storage, runtime, scratch, latest, pinned }) })
    }

    /// Reads again whose the place is. Blocks.
    ///
    /// # Errors
    /// As [`Lake::open_read_only`].
    pub fn check(&self) -> Result<()> {
        let storage = &self.inner.storage;
        let place = storage.place();
        let marker = storage.marker()?.ok_or_else(|| Error::NoLake { path: place.clone() })?;
        check_marker(place, &marker)
    }

    /// Where it is; a folder by its full name.
    pub fn place(&self) -> &Place {
        self.inner.storage.place()
    }

    /// Limits of this lake.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The folder of this lake value and its clones for temporary files, made the first time and removed with the last clone;
    /// `None` for the system's. Blocks for a moment.
    ///
    /// # Errors
    /// [`Error::Io`] if it can't be made.
    pub fn scratch(&self) -> Result<Option<PathBuf>> {
        let Some(all) = &self.inner.settings.spill_dir else { return Ok(None) };
        let mut scratch = self.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match scratch.take() {
            Some(made) => made,
            None => Scratch::new(all)?,
        };
        Ok(Some(scratch.insert(made).path().to_owned()))
    }

    /// Where a table is, whether it exists or not.
    pub fn table_place(&self, id: &TableId) -> Place {
        self.place().join(id.layer.as_str()).join(&id.name)
    }

    /// Opens a table, making it when it does not exist and adding nullable columns that it does not have.
    ///
    /// # Errors
    /// [`Error::SchemaChanged`] when a column has another type or the partitions differ: such a table is
    /// replaced as a whole, see [`Table::writer_for`]. [`Error::Layout`] when the table is of another layout.
    pub async fn create(&self, spec: &TableSpec) -> Result<Table> {
        spec.id.check()?;
        match self.open_table(&spec.id).await? {
            Some(table) => evolve::fit(table, spec).await,
            None => match table::create(self, spec).await {
                Ok(table) => Ok(table),
                // Two processes may make the same table at once: the other one was first.
                Err(error) => match self.open_table(&spec.id).await {
                    Ok(Some(table)) => evolve::fit(table, spec).await,
                    _ => Err(error),
                },
            },
        }
    }

    /// Opens a table at its newest version; `None` when there is none.
    pub async fn open_table(&self, id: &TableId) -> Result<Option<Table>> {
        id.check()?;
        if !self.inner.storage.has_log(&self.table_place(id)).await? {
            self.forget(id);
            return Ok(None);
        }
        let known = lock(&self.inner.latest).get(id).cloned();
        let snapshot = match known {
            Some(snapshot) => snapshot.newest(self, id).await?,
            None => table::load(self, id, None).await?,
        };
        self.remember(id, &snapshot);
        Table::new(self.clone(), id.clone(), snapshot).map(Some)
    }

    /// Opens a table at an earlier version.
    ///
    /// # Errors
    /// [`Error::NoTable`], [`Error::NoVersion`].
    pub async fn open_table_at(&self, id: &TableId, version: i64) -> Result<Table> {
        let key = (id.clone(), version);
        // What a version has does not change.
        let known = lock(&self.inner.pinned).get(&key).cloned();
        let known = known.or_else(|| lock(&self.inner.latest).get(id).filter(|s| s.version() == version).cloned());
        if let Some(snapshot) = known {
            return Table::new(self.clone(), id.clone(), snapshot);
        }
        let latest = self.open_table(id).await?;
        let latest = latest.ok_or_else(|| Error::NoTable { table: id.clone(), path: self.table_place(id) })?;
        if latest.version() == version {
            return Ok(latest);
        }
        if version < 0 || version > latest.version() {
            return Err(Error::NoVersion { table: id.clone(), version });
        }
        let snapshot = table::load(self, id, Some(version)).await?;
        let mut pinned = lock(&self.inner.pinned);
        if pinned.len() >= PINNED_SNAPSHOTS {
            pinned.clear();
        }
        pinned.insert(key, snapshot.clone());
        drop(pinned);
        Table::new(self.clone(), id.clone(), snapshot)
    }

    /// The tables there are, upstream first.
    pub async fn tables(&self) -> Result<Vec<TableId>> {
        let mut found = Vec::new();
        for layer in Layer::ALL {
            let names = self.inner.storage.tables(layer).await?;
            found.extend(names.into_iter().map(|name| TableId { layer, name }).filter(|id| id.check().is_ok()));
        }
        Ok(found)
    }

    /// Versions of a table that the published and the staged build stand on: vacuum and log cleanup keep them.
    pub async fn kept_versions(&self, id: &TableId) -> Result<Vec<i64>> {
        let mut versions = Vec::new();
        if let Some(build) = self.published().await? {
            versions.extend(build.version_of(id));
        }
        if let Some(build) = self.staged().await? {
            versions.extend(build.version_of(id));
        }
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }

    /// Newest version of every table.
    pub async fn versions(&self) -> Result<BTreeMap<TableId, i64>> {
        let mut versions = BTreeMap::new();
        for id in self.tables().await? {
            if let Some(table) = self.open_table(&id).await? {
                versions.insert(id, table.version());
            }
        }
        Ok(versions)
    }

    /// Keeps a snapshot for the next one who opens the table.
    pub(crate) fn remember(&self, id: &TableId, snapshot: &Snapshot) {
        lock(&self.inner.latest).insert(id.clone(), snapshot.clone());
    }

    fn forget(&self, id: &TableId) {
        lock(&self.inner.latest).remove(id);
        lock(&self.inner.pinned).retain(|(known, _), _| known != id);
    }
}

/// A lock whose holder panicked guards a cache only: what is in it is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Text of the marker; `None` where there is nothing yet.
///
/// # Errors
/// [`Error::NotALake`] when something else is there.
fn marker_of(storage: &dyn Storage) -> Result<Option<String>> {
    if let Some(marker) = storage.marker()? {
        return Ok(Some(marker));
    }
    let Some(name) = storage.foreign()? else { return Ok(None) };
    // Another process may have made the lake between the two looks: then what was found is its own.
    storage.marker()?.map(Some).ok_or_else(|| {
        let found = format!("it has {name:?} and no {MARKER}");
        Error::NotALake { path: storage.place().clone(), found }
    })
}

fn new_marker() -> String {
    let marker = Marker { format: "streamreel-lake".to_owned(), layout: LAYOUT.to_owned() };
    serde_json::to_string(&marker).unwrap_or_default()
}

fn check_marker(place: &Place, text: &str) -> Result<()> {
    let marker: Marker = serde_json::from_str(text)
        .map_err(|e| Error::NotALake { path: place.clone(), found: format!("{MARKER} is damaged: {e}") })?;
    if marker.layout != LAYOUT {
        return Err(Error::Layout {
            path: place.clone(),
            found: marker.layout,
            expected: LAYOUT.to_owned(),
            hint: "use the program that wrote it, or land it again into another --home",
        });
    }
    Ok(())
}
