//! A lake in a folder of this machine.

mod lease;
mod store;

use std::{
    fs::DirEntry,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use object_store::{ObjectStore, PutPayload};
use store::LakeStore;

use crate::{
    error::{Error, Result},
    lease::{Held, Holder},
    place::Place,
    spec::Layer,
    storage::{LOG, MARKER, Storage},
};

/// Staged files that nobody has written to for longer are those of a process that is gone.
const STAGED_FILES_LIVE: Duration = Duration::from_secs(3600);

/// A folder, by its full name where it exists.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    place: Place,
    store: Arc<LakeStore>,
    durable: bool,
}

impl Folder {
    /// With `durable`, files are on the disk before a commit returns.
    pub(crate) fn new(root: &Path, durable: bool) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self { place: Place::from(&root), root, store: Arc::new(LakeStore::new(durable)), durable }
    }
}

#[async_trait]
impl Storage for Folder {
    fn place(&self) -> &Place {
        &self.place
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as _
    }

    fn marker(&self) -> Result<Option<String>> {
        let path = self.root.join(MARKER);
        if !path.is_file() {
            return Ok(None);
        }
        std::fs::read_to_string(&path).map(Some).map_err(failed("read", &path))
    }

    fn foreign(&self) -> Result<Option<String>> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed("open", &self.root)(e)),
        };
        for entry in entries {
            let name = entry.map_err(failed("list", &self.root))?.file_name().to_string_lossy().into_owned();
            // A crash while the lake was made leaves nothing but these.
            if !name.starts_with(MARKER) && !name.starts_with('.') {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn claim(&self, marker: &str) -> Result<()> {
        std::fs::create_dir_all(&self.root).map_err(failed("create", &self.root))?;
        let staged = self.root.join(format!("{MARKER}.{}", uuid::Uuid::new_v4()));
        let content = PutPayload::from(marker.to_owned());
        store::write_staged(&staged, &content, self.durable).map_err(failed("create", &staged))?;
        let path = self.root.join(MARKER);
        std::fs::rename(&staged, &path).map_err(failed("create", &path))?;
        if self.durable {
            store::sync_dir(&self.root).map_err(failed("write", &self.root))?;
        }
        Ok(())
    }

    async fn has_log(&self, table: &Place) -> Result<bool> {
        Ok(has_entry(path_of(table)?))
    }

    async fn tables(&self, layer: Layer) -> Result<Vec<String>> {
        let dir = self.root.join(layer.as_str());
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed("list", &dir)(e)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok())
            .filter(|entry| has_entry(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    async fn prepare(&self, table: &Place) -> Result<()> {
        let path = path_of(table)?;
        std::fs::create_dir_all(path).map_err(failed("create", path))
    }

    async fn secure(&self, files: Vec<Place>) -> Result<()> {
        if !self.durable || files.is_empty() {
            return Ok(());
        }
        let files = files.iter().map(|file| path_of(file).map(Path::to_owned)).collect::<Result<Vec<_>>>()?;
        let synced = tokio::task::spawn_blocking(move || store::sync_files(files)).await;
        match synced {
            Ok(Ok(())) => Ok(()),
            Ok(Err((path, error))) => Err(failed("write", &path)(error)),
            Err(error) => Err(failed("write", &self.root)(io::Error::other(error))),
        }
    }

    async fn secure_log(&self, table: &Place) -> Result<()> {
        let log = path_of(table)?.join(LOG);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&log).map_err(failed("list", &log))? {
            let entry = entry.map_err(failed("list", &log))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".parquet") {
                files.push(entry.path());
            }
            if store::is_staged(&name) && is_left_behind(&entry) {
                std::fs::remove_file(entry.path()).map_err(failed("delete", &entry.path()))?;
            }
        }
        store::sync_files(files).map_err(|(path, error)| failed("write", &path)(error))
    }

    async fn sweep(&self, table: &Place) -> Result<()> {
        sweep(path_of(table)?)
    }

    async fn lease(&self, holder: &Holder) -> Result<Box<dyn Held>> {
        Ok(Box::new(lease::take(&self.root, holder)?))
    }

    async fn lease_holder(&self, name: &str) -> Result<Option<Holder>> {
        lease::holder(&self.root, name)
    }

    /// A lock of the system can't be lost.
    async fn check_build_lease(&self, _surely: bool) -> Result<()> {
        Ok(())
    }
}

/// Whether a table has an entry in its log. A process that was killed while it made a table may have left a log without.
fn has_entry(table: &Path) -> bool {
    let entries = std::fs::read_dir(table.join(LOG));
    entries.is_ok_and(|entries| entries.flatten().any(|entry| !store::is_staged(&entry.file_name().to_string_lossy())))
}

/// Names the operation and path of a system error.
fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let place = Place::from(path);
    move |source| Error::Io { operation, path: place, source }
}

fn path_of(place: &Place) -> Result<&Path> {
    place.folder().ok_or_else(|| Error::BadPlace {
        given: place.to_string(),
        problem: "it is not below the folder of the lake".to_owned(),
    })
}

/// Whether nobody writes a staged file any more.
fn is_left_behind(staged: &DirEntry) -> bool {
    let age = staged.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age > STAGED_FILES_LIVE)
}

/// Removes data files that killed writers left unfinished in the folder of a table or partition, and the partitions in it
/// whose last file went.
fn sweep(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(failed("list", folder))? {
        let entry = entry.map_err(failed("list", folder))?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if name.contains('=') && path.is_dir() {
            sweep(&path)?;
            // An error means that it is in use, or may stay.
            let _ = std::fs::remove_dir(&path);
        } else if store::is_unfinished(&name) && is_left_behind(&entry) {
            std::fs::remove_file(&path).map_err(failed("delete", &path))?;
        }
    }
    Ok(())
}
