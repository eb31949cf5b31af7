//! The wire event: its vocabulary, and the one place where it is decoded and validated.
//!
//! A record is a JSON object (see the table of fields in the project's documentation). [`Decoder`] turns records into columnar
//! batches of [`decoded_schema`]: one row a record, either a valid event or a [`Reject`] with a detail.
//! [`write_clean_json`] writes a valid row back in one normalised form.
//!
//! Pure: no I/O, no clock. What is valid at an arrival is valid at every replay, and on every engine that calls this crate.
//!
//! Decisions where the table of fields leaves room:
//!
//! * White space is Unicode's; only `user_id` and `video_id` are trimmed (before they are checked for control characters,
//!   category Cc). `session_id`, `event_id` and `device` are kept as sent; an empty `event_id` is bad.
//! * An integer is a number written without fraction and exponent: `5.0` and `5e0` are none. `-0` is the id `0`.
//! * A number is read as the nearest double and then compared; `1e400` is a number that is out of every range. A negative zero
//!   becomes 0. Epochs are read by their decimal digits, exactly.
//! * What RFC 3339 means here: see `timestamp.rs`. What a region is: `region.rs`.
//! * `extra` keeps the values of unknown fields as they were sent (numbers by their text), without space and with
//!   strings escaped in one way; keys sorted by their bytes.

mod builders;
mod columns;
mod decoder;
mod detail;
mod error;
mod fast;
mod general;
mod identity;
mod key;
mod number;
mod parsed;
mod region;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod timestamp;
mod validate;
mod vocabulary;
mod write;

pub use columns::EventColumns;
pub use decoder::Decoder;
pub use error::Error;
pub use identity::{HexId, IdField, hash_id};
pub use key::{KeyScratch, producer_key};
pub use number::{write_f64, write_u64};
pub use parsed::FIELD_ORDER;
pub use schema::decoded_schema;
pub use timestamp::write_timestamp;
pub use vocabulary::{Correction, EventType, Reject};
pub use write::write_clean_json;

/// The longest record, in bytes. A longer one is cut to this on its way into the topic and rejected as `too_large`.
pub const MAX_RECORD_BYTES: usize = 32 * 1024;
/// The longest duration of a video, seconds; positions are below it.
pub const MAX_DURATION_S: f64 = 1e6;
