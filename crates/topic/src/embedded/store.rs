//! The file: where it is, how it is created and opened, and what SQLite's errors mean.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::{Error, Result};

/// The log's file in its folder. SQLite keeps `topics.sqlite-wal` and `-shm` beside it.
const FILE: &str = "topics.sqlite";
/// Held while a log is created, so that two processes do not both do it.
const LOCK: &str = "topics.lock";
/// Folder of the locks by which consumer groups share partitions.
pub(super) const GROUPS: &str = "groups";
/// "SReL": marks the file as ours (SQLite's `application_id`).
const APPLICATION_ID: i64 = 0x5352_654c;
/// The layout of the tables below (SQLite's `user_version`).
const LAYOUT: i64 = 1;
/// Bytes of a database page. A frame is some tens of KB; larger pages read faster, but each small commit writes five.
const PAGE_BYTES: u32 = 8192;
/// The write-ahead log is copied into the file whenever it has so many pages (32 MiB),
const CHECKPOINT_PAGES: u32 = (32 << 20) / PAGE_BYTES;
/// and is cut to so many bytes when it starts again.
const JOURNAL_BYTES: u32 = 64 << 20;
/// How long to wait for another process's lock.
const BUSY_WAIT: Duration = Duration::from_secs(60);
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// `frame` is the log: one row a run of records of one partition. Its columns come before `data`, so that they can be
/// read without it. `producer` holds the last commit of each transactional id, in the same transaction as its frames.
const TABLES: &str = "
    CREATE TABLE log (identity TEXT NOT NULL) STRICT;
    CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE partition (
        id INTEGER PRIMARY KEY,
        topic_id INTEGER NOT NULL REFERENCES topic(id),
        number INTEGER NOT NULL,
        first_offset INTEGER NOT NULL,
        next_offset INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        UNIQUE (topic_id, number)
    ) STRICT;
    CREATE TABLE frame (
        id INTEGER PRIMARY KEY,
        partition_id INTEGER NOT NULL,
        base_offset INTEGER NOT NULL,
        max_timestamp_ms INTEGER NOT NULL,
        records INTEGER NOT NULL,
        raw_bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        data BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX frame_by_offset ON frame (partition_id, base_offset, max_timestamp_ms);
    CREATE TABLE consumer_offset (
        consumer_group TEXT NOT NULL,
        partition_id INTEGER NOT NULL REFERENCES partition(id),
        next_offset INTEGER NOT NULL,
        PRIMARY KEY (consumer_group, partition_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE producer (
        transactional_id TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Where a log is and how it may be used.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    pub(super) is_read_only: bool,
    /// The folder cannot be written and no write-ahead log is there: the file is read as it is, without locks.
    is_immutable: bool,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Read,
    Write,
}

impl Place {
    /// The log in `folder`; makes it when the folder is empty or not there. Gives the log's identity, too.
    pub(super) fn open_or_create(folder: &Path) -> Result<(Place, String)> {
        let file = folder.join(FILE);
        if !is_there(&file)? {
            check_empty(folder)?;
            fs::create_dir_all(folder).map_err(|source| file_error("create the folder", folder, source))?;
            sync_folder(folder.parent());
        }
        let place = Place { file, is_read_only: false, is_immutable: false };
        let mut connection = place.connect_raw(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        if place.is_new(&connection)? {
            let lock = folder.join(LOCK);
            let lock = File::create(&lock).map_err(|source| file_error("create", &lock, source))?;
            lock.lock().map_err(|source| file_error("lock", &place.file, source))?;
            if place.is_new(&connection)? {
                place.create(&mut connection)?;
            }
        }
        if connection.is_readonly("main").map_err(|source| place.error("open", source))? {
            return Err(Error::ReadOnly { path: place.file });
        }
        let identity = place.identity(&connection)?;
        Ok((place, identity))
    }

    /// The log in `folder`, for reading.
    pub(super) fn open_read_only(folder: &Path) -> Result<(Place, String)> {
        let file = folder.join(FILE);
        if !is_there(&file)? {
            check_empty(folder)?;
            return Err(Error::NoLog { path: folder.to_owned() });
        }
        let mut place = Place { file, is_read_only: true, is_immutable: false };
        let found = place.connect_raw(OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|connection| place.check(&connection));
        // Without the right to write there, SQLite cannot make the memory that processes share. When no write-ahead
        // log is there, then no process writes, and it needs none.
        let is_refused = match &found {
            Err(Error::ReadOnly { .. }) => true,
            Err(Error::Storage { source, .. }) => source.sqlite_error_code() == Some(ErrorCode::CannotOpen),
            _ => false,
        };
        place.is_immutable = is_refused && !is_there(&place.wal())?;
        let connection = place.connect(Role::Read)?;
        let identity = place.identity(&connection)?;
        Ok((place, identity))
    }

    /// A connection to a log that is there.
    pub(super) fn connect(&self, role: Role) -> Result<Connection> {
        let flags = match self.is_read_only {
            true => OpenFlags::SQLITE_OPEN_READ_ONLY,
            false => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let connection = self.connect_raw(flags)?;
        self.check(&connection)?;
        self.configure(&connection, role).map_err(|source| self.error("open", source))?;
        Ok(connection)
    }

    fn configure(&self, connection: &Connection, role: Role) -> rusqlite::Result<()> {
        if role == Role::Read {
            connection.pragma_update(None, "query_only", true)?;
            return connection.pragma_update(None, "cache_size", -2_000);
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES)?;
        connection.pragma_update(None, "cache_size", -16_000)
    }

    fn connect_raw(&self, flags: OpenFlags) -> Result<Connection> {
        // One thread at a time uses a connection, so SQLite needs no lock of its own.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = if self.is_immutable {
            Connection::open_with_flags(immutable_uri(&self.file), flags | OpenFlags::SQLITE_OPEN_URI)
        } else {
            Connection::open_with_flags(&self.file, flags)
        };
        let mut connection = opened.map_err(|source| self.error("open", source))?;
        set_patience(&mut connection, BUSY_WAIT).map_err(|source| self.error("open", source))?;
        Ok(connection)
    }

    /// Whether the file has nothing in it yet; refuses what is not ours.
    fn is_new(&self, connection: &Connection) -> Result<bool> {
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        // In one transaction: another process may be creating the log right now.
        let read = || -> rusqlite::Result<(i64, i64, i64)> {
            let _snapshot = connection.unchecked_transaction()?;
            let objects = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            Ok((pragma("application_id")?, pragma("user_version")?, objects))
        };
        let (application_id, layout, objects) = read().map_err(|source| self.error("open", source))?;
        if application_id == 0 && layout == 0 && objects == 0 {
            return Ok(true);
        }
        if application_id != APPLICATION_ID {
            let found = "it is a SQLite database of another program".to_owned();
            return Err(Error::NotALog { path: self.file.clone(), found });
        }
        if layout != LAYOUT {
            let advice = if layout < LAYOUT {
                "move the folder away and ingest again, or use the program that wrote it"
            } else {
                "use a newer program"
            };
            return Err(Error::OtherLayout { path: self.file.clone(), found: layout, supported: LAYOUT, advice });
        }
        Ok(false)
    }

    fn check(&self, connection: &Connection) -> Result<()> {
        match self.is_new(connection)? {
            true => Err(Error::NoLog { path: self.file.clone() }),
            false => Ok(()),
        }
    }

    fn create(&self, connection: &mut Connection) -> Result<()> {
        let mut create = || -> rusqlite::Result<()> {
            connection.pragma_update(None, "page_size", PAGE_BYTES)?;
            connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(TABLES)?;
            let identity = uuid::Uuid::new_v4().to_string();
            transaction.execute("INSERT INTO log (identity) VALUES (?1)", [identity])?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", LAYOUT)?;
            transaction.commit()
        };
        create().map_err(|source| self.error("create", source))
    }

    fn identity(&self, connection: &Connection) -> Result<String> {
        self.check(connection)?;
        let identity = connection.query_row("SELECT identity FROM log", [], |row| row.get(0)).optional();
        identity
            .map_err(|source| self.error("open", source))?
            .ok_or_else(|| Error::DamagedFile { path: self.file.clone(), detail: "it has no identity".to_owned() })
    }

    /// SQLite's write-ahead log.
    fn wal(&self) -> PathBuf {
        self.file.with_extension("sqlite-wal")
    }

    /// Bytes of the write-ahead log.
    pub(super) fn wal_bytes(&self) -> u64 {
        fs::metadata(self.wal()).map_or(0, |metadata| metadata.len())
    }

    /// Copies the write-ahead log into the file and empties it, if readers let it within a moment. Only housekeeping:
    /// when it fails the log is merely longer, and it is tried again.
    pub(super) fn empty_wal(&self, connection: &mut Connection) {
        const MOMENT: Duration = Duration::from_millis(500);
        if set_patience(connection, MOMENT).is_ok() {
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let _ = set_patience(connection, BUSY_WAIT);
    }

    /// Our name for an error of SQLite in `operation` ("commit to").
    pub(super) fn error(&self, operation: &'static str, source: rusqlite::Error) -> Error {
        let path = self.file.clone();
        if path.is_dir() {
            return Error::NotALog { path, found: "it is a folder".to_owned() };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::DiskFull { path },
            Some(ErrorCode::ReadOnly) => Error::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Busy { path, waited_s: BUSY_WAIT.as_secs() }
            }
            Some(ErrorCode::NotADatabase) => Error::NotALog {
                path,
                found: "the file is no SQLite database, or its first page is damaged".to_owned(),
            },
            Some(ErrorCode::DatabaseCorrupt) => Error::DamagedFile { path, detail: source.to_string() },
            _ => Error::Storage { operation, path, source },
        }
    }
}

/// How long the connection waits for locks. An even short pause is fairer than SQLite's own, which grows to 100 ms and
/// then loses to writers that came later.
fn set_patience(connection: &mut Connection, wait: Duration) -> rusqlite::Result<()> {
    let tries = wait.as_millis() / BUSY_PAUSE.as_millis();
    connection.busy_handler(Some(move |tried: i32| {
        std::thread::sleep(BUSY_PAUSE);
        u128::from(tried.unsigned_abs()) < tries
    }))
}

fn is_there(file: &Path) -> Result<bool> {
    match file.try_exists() {
        Err(source) if source.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        other => other.map_err(|source| file_error("look for", file, source)),
    }
}

/// A log is only made in a folder that is new or empty, lest it ends up among somebody's files.
fn check_empty(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(Error::NotALog { path: folder.to_owned(), found: "it is a file".to_owned() });
        }
        Err(source) => return Err(file_error("read the folder", folder, source)),
    };
    for entry in entries {
        let name = entry.map_err(|source| file_error("read the folder", folder, source))?.file_name();
        let name = name.to_string_lossy();
        // Another process may be making the log just now.
        if name != LOCK && name != GROUPS && !name.starts_with(FILE) {
            let found = format!("the folder has other files, such as {name}");
            return Err(Error::NotALog { path: folder.to_owned(), found });
        }
    }
    Ok(())
}

/// A new folder survives a power cut once its parent is synced; where folders cannot be synced this does nothing.
fn sync_folder(parent: Option<&Path>) {
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(parent) = File::open(parent) {
        let _ = parent.sync_all();
    }
}

fn immutable_uri(file: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri + "?immutable=1"
}

pub(super) fn file_error(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { operation, path: path.to_owned(), source }
}
