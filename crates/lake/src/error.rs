//! What can go wrong in the lake, by operation, and what to do about it.

use crate::{bucket, lease::Holder, place::Place, protocol::KNOWN, spec::TableId};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of a lake operation. Nothing half written is ever visible after one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that can be no table.
    #[error("{given:?} is no table name: use layer.name with layer bronze, silver or gold and name of a-z, 0-9 and _")]
    TableName {
        /// As given.
        given: String,
    },
    /// Something else is at the place.
    #[error("{path} is not a StreamReel lake ({found}); choose another --home or --lake, or move what is there away")]
    NotALake {
        /// The place.
        path: Place,
        /// What was found.
        found: String,
    },
    /// A place that can't be one of a lake, or settings that don't fit it.
    #[error("{given} can't be used as a lake: {problem}")]
    BadPlace {
        /// As given.
        given: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// There is no lake yet.
    #[error("there is no lake at {path}: run `streamreel process` first, or give the right --home or --lake")]
    NoLake {
        /// Where it would be.
        path: Place,
    },
    /// A table or lake of a layout that this program does not write.
    #[error("{path} has layout {found}, this program uses layout {expected}: {hint}")]
    Layout {
        /// The folder.
        path: Place,
        /// Layout found; `none` when the table does not say.
        found: String,
        /// Layout of this program.
        expected: String,
        /// What to do.
        hint: &'static str,
    },
    /// A table whose log asks readers or writers for more than this program knows.
    #[error(
        "{table} at {path} uses reader protocol {reader} and writer protocol {writer} of Delta{with}; this program works with {} and {}, without further features. Take a newer program that knows them, or move that folder away and land or build the table again",
        KNOWN.0, KNOWN.1
    )]
    Protocol {
        /// The table.
        table: TableId,
        /// Its folder.
        path: Place,
        /// Protocol for readers.
        reader: i32,
        /// Protocol for writers.
        writer: i32,
        /// The features, if it names any: ` with a, b`.
        with: Box<str>,
    },
    /// A table that the table library can't read.
    #[error(
        "{table} at {path} can't be read by this program: {what}. Take a newer program, or move that folder away and land or build the table again"
    )]
    Unsupported {
        /// The table.
        table: TableId,
        /// Its folder.
        path: Place,
        /// What the library said.
        what: String,
    },
    /// There is no such table.
    #[error("there is no table {table} at {path}")]
    NoTable {
        /// The table.
        table: TableId,
        /// Where it would be.
        path: Place,
    },
    /// There is no such version, or its log entries are gone.
    #[error("{table} has no version {version} any more (or not yet); see `lake history {table}`")]
    NoVersion {
        /// The table.
        table: TableId,
        /// The version.
        version: i64,
    },
    /// The columns asked for do not fit those of the table.
    #[error("{table} at {path} has other columns: {what}; rebuild it with `build --full-refresh`")]
    SchemaChanged {
        /// The table.
        table: TableId,
        /// Its folder.
        path: Place,
        /// The difference.
        what: String,
    },
    /// Rows that do not fit the table that they are written to.
    #[error("rows do not fit {table}: {what}")]
    Rows {
        /// The table.
        table: TableId,
        /// The difference.
        what: String,
    },
    /// Rows for bronze that come without the offsets they were read at.
    #[error("{table} takes rows only together with the offsets that they cover")]
    OffsetsRequired {
        /// The table.
        table: TableId,
    },
    /// Offsets that contradict themselves or the rows.
    #[error("offsets for {table} are not consistent: {what}")]
    Offsets {
        /// The table.
        table: TableId,
        /// The contradiction.
        what: String,
    },
    /// Another writer has landed these offsets, or others than this one thinks. Reopen the table and go on from what it says.
    #[error("{table} stands at offset {stands} of {source_id}, not at {from}: another process has landed it, this one must stop or start again from there",
        stands = .stands.map_or("?".to_owned(), |v| v.to_string()))]
    Fenced {
        /// The table.
        table: TableId,
        /// `<log>/<topic>/<partition>`
        source_id: String,
        /// Where the writer thought it was.
        from: i64,
        /// Where the table stands, when known.
        stands: Option<i64>,
    },
    /// The table has offsets of another log for this topic.
    #[error(
        "{table} was landed from topic {topic} of log {has}, and this is log {given}: use the lake of this log, or another --home"
    )]
    OtherLog {
        /// The table.
        table: TableId,
        /// The topic.
        topic: String,
        /// Identity of the log that the table has offsets of.
        has: String,
        /// Identity of the log given.
        given: String,
    },
    /// Another writer changed the table in a way that contradicts this commit; nothing was written.
    #[error("{operation} on {table} lost against another writer ({what}); nothing was changed, run it again")]
    Conflict {
        /// What was tried.
        operation: String,
        /// The table.
        table: TableId,
        /// The contradiction.
        what: String,
    },
    /// The log of a table can't be read.
    #[error(
        "the log of {table} at {path} is damaged: {what}. Restore that folder from a backup, or move it away and land or build the table again"
    )]
    DamagedLog {
        /// The table.
        table: TableId,
        /// The table's folder.
        path: Place,
        /// What was found.
        what: String,
    },
    /// A file that the log names is gone or damaged.
    #[error(
        "data file {path} of {table} can't be read: {what}. Restore it from a backup, or rebuild the table (`build --full-refresh`; bronze: land it again from the log)"
    )]
    DataFile {
        /// The table.
        table: TableId,
        /// The file.
        path: Place,
        /// What was found.
        what: String,
    },
    /// As [`Error::DataFile`], where the query engine does not say which file it is.
    #[error(
        "a data file of a table in the query can't be read: {what}. Restore the table from a backup, or rebuild it (`build --full-refresh`; bronze: land it again from the log)"
    )]
    SomeDataFile {
        /// What was found.
        what: String,
    },
    /// The disk refused.
    #[error("{operation} {path}: {source}{hint}", hint = hint(.source))]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Place,
        /// What the system said.
        source: std::io::Error,
    },
    /// The object store refused, or does not answer.
    #[error("{operation} {path}: {problem}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: Place,
        /// What was wrong, and what to do.
        problem: String,
    },
    /// The lease that this process had was not renewed in time, and another has taken it.
    #[error(
        "another process has taken over the {lease} lease, as this one was paused or could not reach the store; nothing of what was open is visible, run it again"
    )]
    LeaseLost {
        /// Name of the lease.
        lease: String,
    },
    /// The lease is held by another process.
    #[error("another process is at it: {who}; wait for it, or end it")]
    LeaseHeld {
        /// Who.
        who: Box<Holder>,
    },
    /// A row of builds that can't be understood.
    #[error("the last row of {table} can't be read: {what}")]
    BuildRow {
        /// `silver.builds` or `gold.builds`.
        table: TableId,
        /// What was found.
        what: String,
    },
    /// The query engine failed.
    #[error("{operation}: {source}")]
    Query {
        /// What was tried.
        operation: String,
        /// What it said.
        #[source]
        source: Box<datafusion::error::DataFusionError>,
    },
    /// The table library failed in a way without a name of its own.
    #[error("{operation} {table} at {path}: {source}")]
    Delta {
        /// What was tried.
        operation: &'static str,
        /// The table.
        table: TableId,
        /// Its folder.
        path: Place,
        /// What it said.
        #[source]
        source: Box<deltalake::DeltaTableError>,
    },
}

/// What is below a library's error.
pub(crate) enum Cause {
    /// The file or object is not there.
    Missing(Error),
    /// Disk or store refused.
    Failed(Error),
}

/// Finds what disk or store said below a library's error, if they said something.
pub(crate) fn cause(operation: &'static str, path: &Place, error: &(dyn std::error::Error + 'static)) -> Option<Cause> {
    let path = path.clone();
    if let Some(explained) = bucket::explained(error) {
        return Some(Cause::Failed(Error::Store { operation, path, problem: explained.to_string() }));
    }
    if path.folder().is_none() && bucket::is_missing(error) {
        return Some(Cause::Missing(Error::Store { operation, path, problem: "it is not there".to_owned() }));
    }
    let source = io_cause(error)?;
    let is_missing = source.kind() == std::io::ErrorKind::NotFound;
    let error = Error::Io { operation, path, source };
    Some(if is_missing { Cause::Missing(error) } else { Cause::Failed(error) })
}

/// Names operation and place of a store's error.
pub(crate) fn of_store(operation: &'static str, path: &Place, error: &object_store::Error) -> Error {
    match cause(operation, path, error) {
        Some(Cause::Missing(error) | Cause::Failed(error)) => error,
        None => Error::Store { operation, path: path.clone(), problem: error.to_string() },
    }
}

/// Finds the system's error below a library's, if there is one: the innermost, as libraries wrap one in another.
fn io_cause(error: &(dyn std::error::Error + 'static)) -> Option<std::io::Error> {
    let mut found = None;
    let mut next = Some(error);
    while let Some(current) = next {
        // An error in an error of the system is not its source, but behind it.
        let within = current.downcast_ref::<std::io::Error>().map(|io| {
            found = Some(
                io.raw_os_error()
                    .map_or_else(|| std::io::Error::new(io.kind(), io.to_string()), std::io::Error::from_raw_os_error),
            );
            io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static))
        });
        next = within.flatten().or_else(|| current.source());
    }
    found
}

/// What a person can do about a system error.
fn hint(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded => {
            " (the disk is full: make room, then run it again; nothing half written is visible)"
        }
        PermissionDenied | ReadOnlyFilesystem => " (the folder can't be written: check its owner and mount)",
        _ => "",
    }
}
