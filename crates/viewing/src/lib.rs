//! From the events of a view to what was really watched.
//!
//! Two levels, both pure: no I/O, no clock, and the same rows out for the same rows in, whatever their order or duplication.
//!
//! 1. [`Reducer`] runs the state machine over the sorted events of one view and gives its watched [`Segment`]s, its
//!    [`Seek`]s, its [`ViewFacts`] and its [`Counters`]. [`curve`] turns segments into seconds covered.
//! 2. [`Sessioniser`] does that over Arrow batches: it finds the groups, splits them into views, drops second copies and
//!    writes the rows of five tables. Every engine calls this one.
//!
//! # Where the definitions leave a choice
//!
//! * `elapsed` is plain wall time, buffering included; only `expected` leaves buffering out. The cap of `elapsed` holds for each
//!   stretch between two pieces of evidence.
//! * A view's `started_at` and `ended_at` are the times of its first and last event, so that `started_at` always falls on `view_date`. Seeks
//!   before the first `play` count, too: they are the view's.
//! * `pauses` are those that end a credited segment, so that they add up to what drop-off shows.
//! * A `seek` to an unknown place while not Playing changes nothing: the last known position stays the last known. While
//!   not Playing `expected` is the last known position.
//! * `ended` without a position at an unknown place puts the segment at the duration, if that is known.
//! * `unplaced_s` is wall time (capped as `elapsed`), up to the event that ends it or the view's last one.
//! * A segment that starts at or beyond the duration is counted in `begins_beyond_duration`, and in `beyond_duration` too when it
//!   is longer than 1 s.
//! * Without a duration `is_completed` is unknown; `is_engaged` then rests on watch time alone.
//! * The position of a seek's origin is what was reported or expected, also where that lies beyond the duration.
//! * A placed segment that would begin before 0 begins at 0; the time that has no room is not counted in `unplaced_s`.
//! * Events without a session make views of their own: those with one neither join them nor bridge a gap.
//! * `watch_time_percentage` of an event is at most 100, as every percentage.
//! * A segment placed backwards from a position begins, by the clock, with the time that it was given (`p` less `elapsed x rate`).

mod assemble;
mod counters;
pub mod curve;
mod error;
mod groups;
mod input;
mod ledger;
mod machine;
mod reduce;
mod schemas;
mod sessioniser;
mod settings;
mod view_event;
mod views;

pub use assemble::Output;
pub use counters::Counters;
pub use error::Error;
pub use input::{event_schema, input_columns};
pub use ledger::{EndedBy, Seek, Segment};
pub use reduce::{Reducer, Reduction, ViewFacts};
pub use schemas::OutputSchemas;
pub use sessioniser::{Sessioniser, Totals};
pub use settings::{OpenPlay, Settings};
pub use streamreel_event::MAX_DURATION_S;
pub use view_event::{ViewEvent, kind_rank};
