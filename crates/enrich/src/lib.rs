//! Bronze to silver: clean events, joined with metadata, reduced to views, incrementally.
//!
//! ```text
//! bronze (rows by source offset, not yet covered) ─┐
//!                                                  ├─> spool: buckets by viewer and video ─> metadata join ─> kernel ─> silver
//! silver of the views that those rows touch ───────┘
//! ```
//!
//! What holds:
//!
//! * The last row of `silver.builds` says what silver is: versions of its tables, offsets of bronze that they cover. A build
//!   commits table by table and appends that row last; what a crash leaves in between is rolled back by the next build.
//! * The rows of a view come from all its events and from nothing else, so arrival order and the number of builds do not matter.
//! * The cost of a build follows what it touches: new rows are found by offset and file statistics, touched views by
//!   `silver.view_spans` (one small row a view), and only files that hold rows which are no longer true are rewritten.

mod build;
mod derive;
mod error;
mod metadata;
mod silver;
mod sources;
mod spool;
mod standing;
mod touched;

pub use build::{Progress, Request, Summary, build};
pub use error::Error;
pub use metadata::{Catalogue, Metadata};
