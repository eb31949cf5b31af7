//! From received records to clean events: decode, validate, deduplicate, and store, each record exactly once.
//!
//! ```text
//! video-events -> [decode, deduplicate, ...] -> clean-events + video-events.dlq   one transaction with the group's offsets
//!                                            -> bronze.events                     one commit with the offsets covered
//! clean-events + video-events.dlq            -> bronze.events                     (landing what somebody else cleaned)
//! ```
//!
//! [`Processor`] does either. What happens to a batch is the list [`STEPS`]; what a duplicate is, and what of it is
//! remembered, stands in [`streamreel_dedupe`].
//!
//! * Processors are members of a group, which gives each of them some of the partitions, and others when members come or go.
//! * The log is the only state: each sink stores how far it is in the same step as its data, processing goes on at the lowest, and a
//!   sink that is further takes only what it lacks. The deduplication window is read from the log again.
//! * Decisions depend on the records and their timestamps only, never on batch borders, time of day or restarts.
//! * Nothing is dropped: a queue that is full stops the reader.

mod arrival;
mod bronze;
mod cleaning;
mod decimal;
mod error;
mod landing;
mod lane;
mod ledger;
pub mod names;
mod positions;
mod processor;
mod rebuild;
mod report;
mod settings;
mod shift;
mod sinks;
mod threads;
mod watch;
mod way;

pub use bronze::Outcome;
pub use cleaning::{Cleaned, Cleaner, Origin, STEPS, Step, Stretch, Wanted};
pub use error::{Error, Result};
pub use processor::{Processor, Until};
pub use report::{Counts, PartitionReport, Progress, Rebuilt, Summary};
pub use settings::{KeepPayload, ReadFrom, Settings};
pub use way::landed_from;
