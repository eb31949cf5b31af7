//! A folder of tables in three layers.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use datafusion::execution::runtime_env::RuntimeEnv;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    evolve,
    spec::{Layer, TableId, TableSpec},
    store::LakeStore,
    table::{self, Snapshot, Table},
};

/// Layout of the lake and its tables that this program writes.
pub(crate) const LAYOUT: &str = "1";
/// File at the lake's root that says whose it is.
const MARKER: &str = "_streamreel.json";
/// Snapshots of earlier versions that are kept in memory.
const PINNED_SNAPSHOTS: usize = 64;

/// Limits of a lake's sessions and writers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Memory that queries may use before they spill, in bytes.
    pub memory_bytes: usize,
    /// Where queries spill; `None`: the system's temporary folder.
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
        }
    }
}

/// A folder of tables. Cheap to clone; clones share the snapshots they have read.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) store: Arc<LakeStore>,
    pub(crate) runtime: OnceLock<Arc<RuntimeEnv>>,
    latest: Mutex<HashMap<TableId, Snapshot>>,
    pinned: Mutex<HashMap<(TableId, i64), Snapshot>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lake").field("root", &self.root).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Marker {
    format: String,
    layout: String,
}

impl Lake {
    /// Opens the lake in `root` (`<home>/data_lake`); makes it when there is nothing.
    ///
    /// # Errors
    /// [`Error::NotALake`] when something else is in the folder, [`Error::Layout`] for one of another layout.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root, Settings::default())
    }

    /// As [`Lake::open`], with limits.
    pub fn open_with(root: impl AsRef<Path>, settings: Settings) -> Result<Self> {
        let root = root.as_ref();
        if !root.join(MARKER).is_file() {
            refuse_foreign(root)?;
            create(root)?;
        }
        Self::open_read_only_with(root, settings)
    }

    /// Opens a lake that exists and writes nothing for it.
    ///
    /// # Errors
    /// [`Error::NoLake`] when there is none, else as [`Lake::open`].
    pub fn open_read_only(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_read_only_with(root, Settings::default())
    }

    /// As [`Lake::open_read_only`], with limits.
    pub fn open_read_only_with(root: impl AsRef<Path>, settings: Settings) -> Result<Self> {
        let root = root.as_ref();
        if !root.join(MARKER).is_file() {
            refuse_foreign(root)?;
            return Err(Error::NoLake { path: root.to_owned() });
        }
        let root = root.canonicalize().map_err(io("open", root))?;
        check_marker(&root)?;
        Ok(Self {
            inner: Arc::new(Inner {
                store: Arc::new(LakeStore::new(settings.durable)),
                root,
                settings,
                runtime: OnceLock::new(),
                latest: Mutex::default(),
                pinned: Mutex::default(),
            }),
        })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Limits of this lake.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Folder of a table, whether it exists or not.
    pub fn table_path(&self, id: &TableId) -> PathBuf {
        self.inner.root.join(id.layer.as_str()).join(&id.name)
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
        if !self.table_path(id).join("_delta_log").is_dir() {
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
        let latest = self.open_table(id).await?;
        let latest = latest.ok_or_else(|| Error::NoTable { table: id.clone(), path: self.table_path(id) })?;
        if latest.version() == version {
            return Ok(latest);
        }
        let key = (id.clone(), version);
        let known = lock(&self.inner.pinned).get(&key).cloned();
        let snapshot = match known {
            Some(snapshot) => snapshot,
            None => {
                if version < 0 || version > latest.version() {
                    return Err(Error::NoVersion { table: id.clone(), version });
                }
                table::load(self, id, Some(version)).await?
            }
        };
        let mut pinned = lock(&self.inner.pinned);
        if pinned.len() >= PINNED_SNAPSHOTS {
            pinned.clear();
        }
        pinned.insert(key, snapshot.clone());
        drop(pinned);
        Table::new(self.clone(), id.clone(), snapshot)
    }

    /// The tables there are, upstream first.
    pub fn tables(&self) -> Result<Vec<TableId>> {
        let mut found = Vec::new();
        for layer in Layer::ALL {
            let dir = self.inner.root.join(layer.as_str());
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io("list", &dir)(e)),
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok())
                .filter(|entry| entry.path().join("_delta_log").is_dir())
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect();
            names.sort();
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
        for id in self.tables()? {
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

/// Names the operation and path of a system error.
pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { operation, path, source }
}

fn refuse_foreign(root: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io("open", root)(e)),
    };
    for entry in entries {
        let name = entry.map_err(io("list", root))?.file_name().to_string_lossy().into_owned();
        // A crash while the lake was made leaves nothing but these.
        if !name.starts_with(MARKER) && !name.starts_with('.') {
            let found = format!("it has {name:?} and no {MARKER}");
            return Err(Error::NotALake { path: root.to_owned(), found });
        }
    }
    Ok(())
}

/// Makes the folder; the marker comes last and at once.
fn create(root: &Path) -> Result<()> {
    std::fs::create_dir_all(root).map_err(io("create", root))?;
    let marker = Marker { format: "streamreel-lake".to_owned(), layout: LAYOUT.to_owned() };
    let text = serde_json::to_string(&marker).unwrap_or_default();
    let staged = root.join(format!("{MARKER}.{}", uuid::Uuid::new_v4()));
    std::fs::write(&staged, text).map_err(io("create", &staged))?;
    let path = root.join(MARKER);
    std::fs::rename(&staged, &path).map_err(io("create", &path))
}

fn check_marker(root: &Path) -> Result<()> {
    let path = root.join(MARKER);
    let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
    let marker: Marker = serde_json::from_str(&text)
        .map_err(|e| Error::NotALake { path: root.to_owned(), found: format!("{MARKER} is damaged: {e}") })?;
    if marker.layout != LAYOUT {
        return Err(Error::Layout {
            path: root.to_owned(),
            found: marker.layout,
            expected: LAYOUT.to_owned(),
            hint: "use the program that wrote it, or land it again into another --home",
        });
    }
    Ok(())
}
