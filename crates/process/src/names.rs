//! Topics, headers and words of the wire that others rely on.

/// Every record received, raw bytes, keyed by `user_id`.
pub const VIDEO_EVENTS: &str = streamreel_lake::SOURCE_TOPIC;
/// Clean events as normalised JSON, keyed by `user_id`.
pub const CLEAN_EVENTS: &str = "clean-events";
/// Every other record: the original bytes and why.
pub const DEAD_LETTERS: &str = "video-events.dlq";
/// Consumer group under which the cleaned topics' progress through `video-events` is stored.
pub const GROUP: &str = "streamreel";

/// Beside a lake's offsets of topics, as partition 0 of a topic of this name: how often the way that it is landed was changed;
/// odd where it is landed from the cleaned topics.
pub const LANDED_FROM: &str = "landed-from";

/// Header of a dead letter: a name of [`streamreel_event::Reject`], or [`DUPLICATE`].
pub const REASON: &str = "reason";
/// Header of a dead letter: what was wrong, for people.
pub const DETAIL: &str = "detail";
/// The reason of a valid record that repeats an earlier one.
pub const DUPLICATE: &str = "duplicate";
/// Header of a clean event: names of [`streamreel_event::Correction`], separated by commas.
pub const CORRECTIONS: &str = "corrections";
/// Header of a clean event: the original bytes, where all payloads are kept.
pub const PAYLOAD: &str = "payload";
/// Header of a record in `video-events` that was cut to the size limit on its way in.
pub const CUT: &str = "cut";

/// Header: identity of the log that the record was read from.
pub const SOURCE_LOG: &str = "source_log";
/// Header: its topic.
pub const SOURCE_TOPIC: &str = "source_topic";
/// Header: its partition, decimal.
pub const SOURCE_PARTITION: &str = "source_partition";
/// Header: its offset, decimal.
pub const SOURCE_OFFSET: &str = "source_offset";
/// Header: its record timestamp in milliseconds since 1970, decimal.
pub const SOURCE_TIMESTAMP: &str = "source_timestamp";
