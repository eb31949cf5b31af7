//! Viewers that behave, and what goes wrong between them and the log, from one seed and with the truth known.
//!
//! ```
//! use streamreel_simulate::{Batch, Catalogue, Pace, Settings, Simulator};
//!
//! let settings = Settings { pace: Pace::Records { records: 1_000, days: 1 }, ..Settings::default() };
//! let mut simulator = Simulator::new(&settings, &Catalogue::sample()?)?;
//! let mut batch = Batch::with_capacity(256);
//! let mut records = 0;
//! while simulator.next_batch(&mut batch) {
//!     records += batch.len();
//! }
//! assert_eq!(records, 1_000);
//! assert_eq!(simulator.truth().records, 1_000);
//! # Ok::<(), streamreel_simulate::Error>(())
//! ```
//!
//! Times are epoch milliseconds; all positions and times lie on whole milliseconds, so that the truth is exact. Nothing
//! here reads a clock, opens a file or allocates for an event.
//!
//! **The truth** is what the definitions of the metrics make of the true events, with the durations of
//! [`Simulator::titles`] as metadata. It is counted from what the viewers did, not from the events, and a test reduces the
//! events and finds the same.
//!
//! **Exactly N.** [`Pace::Records`] counts what is on the wire: true events, copies and rejects. The last view is made to
//! fit what is left, so no view is cut short. [`Pace::Rate`] and [`Simulator::stop_at`] cut the views that still run: what
//! happened until the stop arrives then, and the truth is that of those events.

mod audience;
mod batch;
mod behaviour;
mod catalogue;
mod dice;
mod dirt;
mod error;
mod pace;
mod settings;
mod simulator;
mod slot;
mod story;
mod truth;
mod wire;

pub use batch::Batch;
pub use catalogue::Catalogue;
pub use error::Error;
pub use settings::{DEFAULT_START_MS, Pace, Players, Settings};
pub use simulator::Simulator;
pub use truth::{Duplicates, RegionTruth, Truth, VideoTruth};
