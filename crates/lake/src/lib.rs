//! The lake: Delta tables in three layers on the local disk.
//!
//! This is the only crate that names the table format's library. Everybody else sees
//! [`Lake`] (a folder of tables), [`Table`] (commits, upkeep), [`TableWriter`] (rows into files)
//! and the query engine's own session, made by [`Lake::session`].
//!
//! What holds for every table:
//!
//! * A commit is one atomic step: its rows and, for bronze, the source offsets that they cover become
//!   visible together or not at all. Files of a commit that never happened are harmless; `vacuum` removes them.
//! * Rows and log entries are on the disk (`fsync`) before a commit returns.
//! * Only protocol features that every Delta reader knows (reader 1, writer 2).
//! * Rows of bronze can't be written without the offsets they came from, see [`Table::append_offsets`].

mod builds;
mod commit;
mod deferred;
mod error;
mod evolve;
mod files;
mod history;
mod keys;
mod lake;
mod lease;
mod offsets;
mod optimize;
mod parquet_file;
mod read;
mod replay;
mod session;
mod spec;
mod store;
mod table;
pub mod tables;
mod upkeep;
mod writer;

pub use builds::{Build, SilverBuild};
pub use commit::{CommitNote, Delete};
pub use error::{Error, Result};
pub use history::HistoryEntry;
pub use lake::{Lake, Settings};
pub use lease::{Holder, Lease};
pub use offsets::{OffsetRange, beyond, parse_transaction_id};
pub use optimize::{OptimizeReport, OptimizeScope};
pub use session::Reading;
pub use spec::{Layer, TableId, TableSpec};
pub use table::Table;
pub use upkeep::VacuumReport;
pub use writer::{TableWriter, Written};
