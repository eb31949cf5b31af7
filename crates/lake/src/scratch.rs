//! Temporary files. Each lake value that needs some has a folder of its own below the one that is set, which goes with the
//! value. A program that is killed leaves its folder behind; the next one that makes its own removes it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// Locked by who looks around in the folder.
const DOOR: &str = ".lock";
/// In each folder: locked as long as it is in use.
const IN_USE: &str = ".in_use";

/// A folder for temporary files.
pub(crate) struct Scratch {
    folder: PathBuf,
    /// The lock is free when this is closed, however the program ends.
    _in_use: File,
}

impl Scratch {
    /// Makes one below `all`, which may be missing, after removing those that nobody uses.
    pub(crate) fn new(all: &Path) -> Result<Self> {
        Self::make(all).map_err(|source| Error::Io {
            operation: "make a temporary folder in",
            path: all.into(),
            source,
        })
    }

    fn make(all: &Path) -> io::Result<Self> {
        fs::create_dir_all(all)?;
        let door = open(&all.join(DOOR))?;
        door.lock()?;
        for entry in fs::read_dir(all)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if is_left(&entry.path()) {
                // It only takes room; the next one tries again.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let folder =
            (0u32..).map(|number| all.join(number.to_string())).find_map(|folder| match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| folder)),
            });
        let folder = folder.unwrap_or_else(|| Err(ErrorKind::AlreadyExists.into()))?;
        let in_use = open(&folder.join(IN_USE))?;
        in_use.lock()?;
        Ok(Self { folder, _in_use: in_use })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next one.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether it is one of these folders, and nobody uses it any more.
fn is_left(folder: &Path) -> bool {
    File::open(folder.join(IN_USE)).is_ok_and(|file| file.try_lock_shared().is_ok())
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_removed() {
        let all = tempfile::tempdir().unwrap();
        let all = all.path().join("tmp");
        let (first, second) = (Scratch::new(&all).unwrap(), Scratch::new(&all).unwrap());
        assert_ne!(first.path(), second.path());
        // As a killed program leaves it: with the file, but without its lock.
        let killed = all.join("7");
        fs::create_dir(&killed).unwrap();
        for name in [IN_USE, "spilled"] {
            fs::write(killed.join(name), "x").unwrap();
        }
        fs::create_dir(all.join("of_somebody_else")).unwrap();
        let gone = second.path().to_owned();
        drop(second);
        assert!(!gone.exists() && killed.exists());
        let third = Scratch::new(&all).unwrap();
        assert!(!killed.exists() && first.path().exists() && third.path().exists());
        assert_eq!(third.path(), gone);
        assert!(all.join("of_somebody_else").exists());
    }
}
