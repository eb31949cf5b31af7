//! What the live numbers say at a moment, as JSON.

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::window::Second;

/// The live numbers at a moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshot {
    /// When.
    #[serde(serialize_with = "micros")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: i64,
    /// Records a second that came into the topic; like all rates, the mean of the last five seconds.
    pub(crate) received_per_s: f64,
    /// Clean events a second.
    pub(crate) clean_per_s: f64,
    /// Rejected records a second.
    pub(crate) rejected_per_s: f64,
    /// Copies a second.
    pub(crate) duplicate_per_s: f64,
    /// Records that came into the topic since the server started.
    pub(crate) received: u64,
    /// Clean events since then.
    pub(crate) clean: u64,
    /// Rejected records since then.
    pub(crate) rejected: u64,
    /// Copies since then.
    pub(crate) duplicates: u64,
    /// Records in the topic that are not cleaned yet, whenever they came.
    pub(crate) unprocessed: u64,
    /// Users whose newest event within 60 s neither pauses nor ends.
    pub(crate) viewers_now: u64,
    /// The videos with most viewers now, at most 20.
    pub(crate) videos: Vec<VideoNow>,
    /// How far one part is behind the other.
    pub(crate) lag: Lag,
    /// The last 120 s, oldest first, the running second last.
    pub(crate) history: Vec<Second>,
    /// The published build.
    pub(crate) build: Option<BuildState>,
    /// The last audit.
    pub(crate) audit: Option<AuditState>,
}

/// A video that is watched now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VideoNow {
    /// Its id.
    pub(crate) video_id: String,
    /// Its title, where one is known.
    pub(crate) title: Option<String>,
    /// Its viewers.
    pub(crate) viewers: u32,
}

/// How far one part is behind the other.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Lag {
    /// From the time in an event to when it was seen as a clean one: the median of the last minute's, at most 512 of them.
    pub(crate) event_to_clean_ms: Option<i64>,
    /// From when records were cleaned to when bronze had them; while bronze stands still, how long it has been behind.
    pub(crate) clean_to_lake_ms: Option<i64>,
    /// Records in the topic that bronze does not have yet.
    pub(crate) lake_behind_records: u64,
}

/// The published build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct BuildState {
    /// Its name.
    pub(crate) build_id: String,
    /// When it was finished.
    #[serde(serialize_with = "micros")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) finished_at: i64,
}

/// What the last audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditState {
    /// Whether every equation held.
    pub holds: bool,
    /// How many equations there were.
    pub equations: usize,
    /// How many of them did not hold.
    pub failed: usize,
    /// When, microseconds since 1970, UTC.
    #[serde(serialize_with = "micros")]
    #[schema(value_type = String, format = DateTime)]
    pub checked_at: i64,
}

/// Microseconds since 1970 as RFC 3339.
fn micros<S: Serializer>(us: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let at = DateTime::from_timestamp_micros(*us).unwrap_or_default();
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Seconds since 1970 as RFC 3339.
pub(crate) fn second<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let at = DateTime::from_timestamp(*seconds, 0).unwrap_or_default();
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Secs, true))
}
