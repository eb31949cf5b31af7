//! Leases as locks of the system, which frees them when their holder ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use super::failed;
use crate::{
    error::{Error, Result},
    lease::{Held, Holder},
    storage::LEASES,
};

/// A lock on the file of a lease.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Held for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        // Emptied so that nobody reads of a holder that is gone; the lock goes with the file.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

/// Takes the lease for a holder.
pub(super) fn take(root: &Path, holder: &Holder) -> Result<Lock> {
    let folder = root.join(LEASES);
    std::fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    let path = folder.join(format!("{}.lock", holder.lease));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::LeaseHeld { who: Box::new(read(&mut file, &holder.lease)) });
        }
        Err(TryLockError::Error(e)) => return Err(failed("lock", &path)(e)),
    }
    let text = serde_json::to_string(holder).unwrap_or_default();
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    written.map_err(failed("write", &path))?;
    Ok(Lock(file))
}

/// Who has the lease of a name.
pub(super) fn holder(root: &Path, name: &str) -> Result<Option<Holder>> {
    let path = root.join(LEASES).join(format!("{name}.lock"));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed("open", &path)(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read(&mut file, name))),
        Err(TryLockError::Error(e)) => Err(failed("lock", &path)(e)),
    }
}

/// The holder as it wrote itself down; a moment after it took the lease it may not have yet.
fn read(file: &mut File, name: &str) -> Holder {
    let mut text = String::new();
    let parsed = file.rewind().and_then(|()| file.read_to_string(&mut text)).ok();
    parsed.and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_else(|| Holder::unknown(name))
}
