//! Leases: one process at a time. The system frees them when their holder ends, however it ends.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    lake::{Lake, io},
};

/// Folder with one file a lease.
const FOLDER: &str = "_leases";
/// How often a waiting process asks again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the lease.
    pub lease: String,
    /// Process.
    pub pid: u32,
    /// Host.
    pub host: String,
    /// Its command line.
    pub command: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, pid, host, command, since } = self;
        write!(f, "process {pid} on {host} has the {lease} lease since {since} ({command})")
    }
}

/// A lease that this process has, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    file: File,
    holder: Holder,
}

impl Lease {
    /// Who has it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Emptied so that nobody reads of a holder that is gone; the lock goes with the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl Lake {
    /// Takes the lease of a name.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] with its holder when another process, or another value in this one, has it.
    pub fn lease(&self, name: &str) -> Result<Lease> {
        let path = self.lease_path(name)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::LeaseHeld { who: Box::new(read(&mut file, name)) }),
            Err(TryLockError::Error(e)) => return Err(io("lock", &path)(e)),
        }
        let holder = this_process(name);
        let text = serde_json::to_string(&holder).unwrap_or_default();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(io("write", &path))?;
        Ok(Lease { file, holder })
    }

    /// Takes the lease of a name, waiting up to `patience` for it.
    ///
    /// # Errors
    /// As [`Lake::lease`], after the wait.
    pub async fn lease_within(&self, name: &str, patience: Duration) -> Result<Lease> {
        let began = Instant::now();
        loop {
            match self.lease(name) {
                Err(Error::LeaseHeld { .. }) if began.elapsed() < patience => tokio::time::sleep(ASK_AGAIN).await,
                other => return other,
            }
        }
    }

    /// Who has the lease of a name now.
    pub fn lease_holder(&self, name: &str) -> Result<Option<Holder>> {
        let path = self.root().join(FOLDER).join(format!("{name}.lock"));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io("open", &path)(e)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read(&mut file, name))),
            Err(TryLockError::Error(e)) => Err(io("lock", &path)(e)),
        }
    }

    fn lease_path(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root().join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        Ok(folder.join(format!("{name}.lock")))
    }
}

/// The holder as it wrote itself down; a moment after it took the lease it may not have yet.
fn read(file: &mut File, name: &str) -> Holder {
    let mut text = String::new();
    let unknown =
        Holder { lease: name.to_owned(), pid: 0, host: "?".to_owned(), command: "?".to_owned(), since: "?".to_owned() };
    match file.rewind().and_then(|()| file.read_to_string(&mut text)) {
        Ok(_) => serde_json::from_str(&text).unwrap_or(unknown),
        Err(_) => unknown,
    }
}

#[expect(clippy::disallowed_methods, reason = "a person reads it; nothing is decided by it")]
fn this_process(name: &str) -> Holder {
    let host = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    Holder {
        lease: name.to_owned(),
        pid: std::process::id(),
        host: host.map_or_else(|| "localhost".to_owned(), |h| h.trim().to_owned()),
        command: arguments.join(" "),
        since: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }
}
