//! Groups of the embedded log: locks on files beside it, which the system takes back when their holder ends, however it ends.
//!
//! A member has the lock of a seat; the members are those whose seats are locked, in the order of seats. Partition i of all,
//! in order, is for member i modulo their number, who works on it once it has the lock of the partition, too. Nobody has to
//! tell anybody anything: each looks now and then who is there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::lock;
use super::store::{GROUPS, Place, file_error};
use crate::{Change, Error, Membership, Result, TopicPartition};

/// How often a member looks who else is there.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A member of a group, for as long as the value lives.
pub(super) struct EmbeddedMember {
    folder: PathBuf,
    /// All that the group shares.
    partitions: Vec<TopicPartition>,
    seat: usize,
    /// Its lock is what makes this a member.
    _seat: File,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    looked: Option<Instant>,
    /// What this member has, by its place among the partitions.
    held: BTreeMap<usize, Held>,
}

struct Held {
    /// Its lock is what makes the partition this member's.
    _lock: File,
    is_asked: bool,
}

impl EmbeddedMember {
    /// Takes the first free seat, if those who sit there write to the same target.
    pub(super) fn join(
        place: &Place,
        group: &str,
        mut partitions: Vec<TopicPartition>,
        target: Option<&str>,
    ) -> Result<Self> {
        if place.is_read_only {
            return Err(Error::ReadOnly { path: place.file.clone() });
        }
        let folder = place.file.with_file_name(GROUPS).join(file_name(group));
        fs::create_dir_all(&folder).map_err(|source| file_error("create the folder", &folder, source))?;
        partitions.sort();
        // One after another: whoever has a seat has written its target there.
        let _turn = wait_for(&folder.join("joining.lock"))?;
        if let Some(target) = target {
            check_targets(&folder, group, target)?;
        }
        let mut seat = 0;
        loop {
            // Somebody who looks whether a seat is free has its lock for a moment; then the next one is taken.
            let path = seat_file(&folder, seat);
            if let Some(mut file) = take(&path)? {
                let written = file.set_len(0).and_then(|()| file.write_all(target.unwrap_or_default().as_bytes()));
                written.map_err(|source| file_error("write to", &path, source))?;
                return Ok(Self { folder, partitions, seat, _seat: file, state: Mutex::default() });
            }
            seat += 1;
        }
    }

    /// How many members sit before this one, and how many there are.
    fn rank(&self) -> Result<(usize, usize)> {
        let (mut before, mut members) = (0, 1);
        for seat in (0..).filter(|seat| *seat != self.seat) {
            match look(&seat_file(&self.folder, seat))? {
                Seat::None => break,
                Seat::Free => {}
                Seat::Taken => {
                    before += usize::from(seat < self.seat);
                    members += 1;
                }
            }
        }
        Ok((before, members))
    }

    fn partition_file(&self, partition: &TopicPartition) -> PathBuf {
        self.folder.join(format!("partition-{}-{}.lock", partition.topic, partition.partition))
    }
}

impl Membership for EmbeddedMember {
    fn changes(&self) -> Result<Vec<Change>> {
        let mut state = lock(&self.state);
        if state.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN) {
            return Ok(Vec::new());
        }
        state.looked = Some(Instant::now());
        let (rank, members) = self.rank()?;
        let mut changes = Vec::new();
        for (place, partition) in self.partitions.iter().enumerate() {
            let is_mine = place % members == rank;
            match state.held.get_mut(&place) {
                Some(held) if !is_mine && !held.is_asked => {
                    held.is_asked = true;
                    changes.push(Change::Asked(partition.clone()));
                }
                // Whoever has the lock has not let go of it yet.
                None if is_mine => {
                    if let Some(file) = take(&self.partition_file(partition))? {
                        state.held.insert(place, Held { _lock: file, is_asked: false });
                        changes.push(Change::Given(partition.clone()));
                    }
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    fn release(&self, partition: &TopicPartition) -> Result<()> {
        if let Ok(place) = self.partitions.binary_search(partition) {
            lock(&self.state).held.remove(&place);
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        // Nobody takes a lock away.
        true
    }
}

/// What is found at the place of a seat.
enum Seat {
    /// Seats are made in order: there are no more.
    None,
    Free,
    Taken,
}

fn look(path: &Path) -> Result<Seat> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Seat::None),
        Err(source) => return Err(file_error("open", path, source)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Seat::Free),
        Err(TryLockError::WouldBlock) => Ok(Seat::Taken),
        Err(TryLockError::Error(source)) => Err(file_error("lock", path, source)),
    }
}

/// Looks at what the members write to; one that says nothing of it writes to nothing in common.
fn check_targets(folder: &Path, group: &str, target: &str) -> Result<()> {
    for seat in 0.. {
        let path = seat_file(folder, seat);
        match look(&path)? {
            Seat::None => break,
            Seat::Free => {}
            Seat::Taken => {
                let found = fs::read_to_string(&path).map_err(|source| file_error("read", &path, source))?;
                if !found.is_empty() && found != target {
                    let (group, target) = (group.to_owned(), target.to_owned());
                    let member = format!("it has the lock of {}", path.display());
                    return Err(Error::OtherTarget { group, target, found, member });
                }
            }
        }
    }
    Ok(())
}

fn seat_file(folder: &Path, seat: usize) -> PathBuf {
    folder.join(format!("seat-{seat}.lock"))
}

/// The file, made if it is not there.
fn open(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    opened.map_err(|source| file_error("open", path, source))
}

/// The file with its lock, which is soon free.
fn wait_for(path: &Path) -> Result<File> {
    let file = open(path)?;
    file.lock().map_err(|source| file_error("lock", path, source))?;
    Ok(file)
}

/// The file with its lock; `None` when somebody else has the lock.
fn take(path: &Path) -> Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(file_error("lock", path, source)),
    }
}

/// A group's name as that of a folder: what is not plain in it is written as its bytes.
fn file_name(group: &str) -> String {
    let mut name = String::from("group-");
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            name.push(char::from(byte));
        } else {
            name += &format!("%{byte:02X}");
        }
    }
    name
}
