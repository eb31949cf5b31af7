//! A clock of the machine that jumps, for one process: Debian's libfaketime between it and the system. Waits go by another
//! clock, which does not jump; nor does the one that files and other processes have. For a Kafka's client it is not fit:
//! that takes the time of day for deadlines and waits for them in the C library, where nothing stands between.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where Debian's package puts it, below the folder of the machine's libraries.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// How long after [`Clock::set`] the process sees it, at most: the library looks when a second has begun.
pub const SEEN_AFTER: Duration = Duration::from_millis(1200);

/// A clock whose distance from the machine's can be set.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// One that goes right so far. Its file is in a folder that there is.
    pub fn new(folder: &Path) -> Self {
        let libraries = fs::read_dir("/usr/lib").expect("libraries").flatten();
        let library = libraries.map(|found| found.path().join(LIBRARY)).find(|path| path.is_file());
        let library = library.expect("libfaketime is needed for a clock that jumps: apt install libfaketime");
        let clock = Self { library, file: folder.join("clock") };
        clock.set(0);
        clock
    }

    /// Gives a process this clock.
    pub fn give(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", "0")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    /// So many seconds before or behind the machine's.
    pub fn set(&self, offset_s: i64) {
        // Never half written.
        let staged = self.file.with_extension("new");
        fs::write(&staged, format!("{offset_s:+}\n")).expect("written");
        fs::rename(staged, &self.file).expect("renamed");
    }

    /// Removes what the library leaves of a process that was killed.
    pub fn clear(&self, pid: u32) {
        for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
            // It may have removed them itself.
            let _ = fs::remove_file(Path::new("/dev/shm").join(name));
        }
    }
}
