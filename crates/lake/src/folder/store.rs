//! The local disk as the table library sees it, with two differences to the stock one: log entries are on
//! the disk before they are visible, and listing the end of a long log does not look at all of it.

use std::{
    fmt,
    fs::File,
    io::{self, Write},
    ops::Range,
    path::{Path as FsPath, PathBuf},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, local::LocalFileSystem, path::Path,
};

const LOG: &str = "_delta_log";
const STORE: &str = "StreamReel lake";

/// Object store over the whole local file system; paths are absolute without the leading `/`.
#[derive(Debug)]
pub(super) struct LakeStore {
    inner: LocalFileSystem,
    durable: bool,
}

impl LakeStore {
    pub(super) fn new(durable: bool) -> Self {
        Self { inner: LocalFileSystem::new(), durable }
    }

    fn is_log_entry(location: &Path) -> bool {
        location.parts().rev().nth(1).is_some_and(|part| part.as_ref() == LOG)
    }
}

impl fmt::Display for LakeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

#[async_trait]
impl ObjectStore for LakeStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !self.durable || !Self::is_log_entry(location) || matches!(opts.mode, PutMode::Update(_)) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || put_durably(&path, &payload, &opts.mode)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let log = prefix.filter(|p| p.filename() == Some(LOG)).and_then(|p| self.inner.path_to_filesystem(p).ok());
        let (Some(prefix), Some(dir)) = (prefix, log) else {
            return self.inner.list_with_offset(prefix, offset);
        };
        let (prefix, offset) = (prefix.clone(), offset.clone());
        let listed = async move { blocking(move || list_log(&dir, &prefix, &offset)).await };
        stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    // The table library also calls from threads without a runtime of their own; it enters one for that.
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|e| generic(io::Error::other(e)))?,
        Err(_) => work(),
    }
}

fn generic(error: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: STORE, source: Box::new(error) }
}

fn put_durably(path: &FsPath, payload: &PutPayload, mode: &PutMode) -> Result<PutResult> {
    let dir = path.parent().unwrap_or(FsPath::new("/"));
    std::fs::create_dir_all(dir).map_err(generic)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = dir.join(format!(".{name}.{}", uuid::Uuid::new_v4()));
    let written = write_staged(&staged, payload, true).and_then(|()| match mode {
        PutMode::Create => std::fs::hard_link(&staged, path),
        _ => std::fs::rename(&staged, path),
    });
    if written.is_err() || matches!(mode, PutMode::Create) {
        let _ = std::fs::remove_file(&staged);
    }
    match written {
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
            return Err(object_store::Error::AlreadyExists {
                path: path.display().to_string(),
                source: Box::new(source),
            });
        }
        other => other.map_err(generic)?,
    }
    sync_dir(dir).map_err(generic)?;
    Ok(PutResult { e_tag: None, version: None })
}

/// Writes a new file; with `durable`, its content is on the disk then.
pub(super) fn write_staged(staged: &FsPath, payload: &PutPayload, durable: bool) -> io::Result<()> {
    let mut file = File::create_new(staged)?;
    for part in payload.iter() {
        file.write_all(part)?;
    }
    if durable { file.sync_data() } else { Ok(()) }
}

/// Makes the names in a folder survive a power cut.
pub(super) fn sync_dir(dir: &FsPath) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes data files and the folders that name them survive a power cut; in parallel, as the disk merges the waits.
pub(super) fn sync_files(files: Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    // A partition's folder may be new itself: its own parent names it.
    let named_in = files.iter().flat_map(|file| file.ancestors().skip(1).take(2));
    let mut dirs: Vec<PathBuf> = named_in.map(FsPath::to_owned).collect();
    dirs.sort();
    dirs.dedup();
    let all: Vec<PathBuf> = files.into_iter().chain(dirs).collect();
    let share = all.len().div_ceil(16).max(1);
    std::thread::scope(|scope| {
        let sync_share = |paths: &[PathBuf]| {
            paths.iter().try_for_each(|path| {
                File::open(path).and_then(|file| file.sync_all()).map_err(|error| (path.clone(), error))
            })
        };
        let running: Vec<_> = all.chunks(share).map(|paths| scope.spawn(move || sync_share(paths))).collect();
        running.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err((PathBuf::new(), io::Error::other("a thread that waits for the disk failed"))))
        })
    })
}

/// Whether a file of a log is still being written, or was when its writer was killed: ours begin with a dot, those of the stock
/// store end with a hash and a number.
pub(super) fn is_staged(name: &str) -> bool {
    name.starts_with('.') || name.contains('#')
}

/// Whether the stock store is still writing a data file, or was when its writer was killed; such names it does not list.
pub(super) fn is_unfinished(name: &str) -> bool {
    let number = name.split_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Entries of a log folder after `offset`, in order. Only those are looked at, however long the log is.
fn list_log(dir: &FsPath, prefix: &Path, offset: &Path) -> Result<Vec<ObjectMeta>> {
    let after = if offset.prefix_match(prefix).is_some() { offset.filename().unwrap_or_default() } else { "" };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(generic(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(generic)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.as_str() <= after || is_staged(&name) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            found.push(ObjectMeta {
                location: prefix.clone().join(name.as_str()),
                last_modified: metadata.modified().map_err(generic)?.into(),
                size: metadata.len(),
                e_tag: None,
                version: None,
            });
        }
    }
    found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    Ok(found)
}
