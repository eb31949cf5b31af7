//! The lake: Delta tables in three layers, in a folder or in a bucket of an object store.
//!
//! This is the only crate that names the table format's library. Everybody else sees
//! [`Lake`] (tables at a [`Place`]), [`Table`] (commits, upkeep), [`TableWriter`] (rows into files)
//! and the query engine's own session, made by [`Lake::session`].
//!
//! What holds for every table:
//!
//! * A commit is one atomic step: its rows and, for bronze, the source offsets that they cover become
//!   visible together or not at all. Files of a commit that never happened are harmless; `vacuum` removes them.
//! * Rows and log entries are on the disk (`fsync`), or stored by the object store, before a commit returns.
//! * Only protocol features that every Delta reader knows (reader 1, writer 2).
//! * Rows of bronze can't be written without the offsets they came from, see [`Table::append_offsets`].

mod base;
mod bucket;
mod builds;
mod commit;
mod deferred;
mod error;
mod evolve;
mod files;
mod folder;
mod history;
mod keys;
mod lake;
mod lease;
mod offsets;
mod optimize;
mod parquet_file;
mod place;
pub mod plan;
mod protocol;
mod read;
mod replay;
mod scratch;
mod session;
mod spec;
mod storage;
mod table;
pub mod tables;
mod upkeep;
mod writer;

pub use base::Base;
pub use builds::{Build, SilverBuild};
pub use commit::{CommitNote, Delete};
pub use error::{Error, Result};
pub use history::HistoryEntry;
pub use keys::KeyedRows;
pub use lake::{Lake, Settings};
pub use lease::{BUILD_LEASE, Holder, Lease};
pub use offsets::{OffsetRange, SOURCE_TOPIC, beyond, parse_transaction_id, rows_tell};
pub use optimize::{OptimizeReport, OptimizeScope};
pub use place::Place;
pub use session::Reading;
pub use spec::{Layer, TableId, TableSpec};
pub use table::Table;
pub use upkeep::VacuumReport;
pub use writer::{TableWriter, Written};
