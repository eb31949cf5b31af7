//! Days and instants as the API writes them. All are UTC.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use datafusion::scalar::ScalarValue;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// 1970-01-01 in days of the common era.
const EPOCH: i32 = 719_163;

/// A UTC date, as days since 1970-01-01; written `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = Date, example = "2026-01-05")]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    /// Reads `YYYY-MM-DD`, nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_plain)?;
        Some(Self(date.num_days_from_ce() - EPOCH))
    }

    /// So many days later; none that calendars don't have.
    pub(crate) fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// As a value of the query engine.
    pub(crate) fn scalar(self) -> ScalarValue {
        ScalarValue::Date32(Some(self.0))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.checked_add(EPOCH).and_then(NaiveDate::from_num_days_from_ce_opt) {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant, as microseconds since 1970; written as RFC 3339 with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-05T10:00:00.000000Z")]
pub(crate) struct Instant(pub(crate) i64);

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{} us", self.0),
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first and the last of some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Dates {
    /// The first.
    pub(crate) first: Day,
    /// The last.
    pub(crate) last: Day,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days() {
        assert_eq!(Day::parse("1970-01-01"), Some(Day(0)));
        assert_eq!(Day::parse("2026-01-05").map(|day| day.plus(-5).to_string()).as_deref(), Some("2025-12-31"));
        for wrong in ["", "2026-1-5", "2026-02-30", "+026-01-01", "2026-01-05Z", "2026-01-0５", "99999-01-01"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Day(i32::MAX).to_string(), "day 2147483647");
    }

    #[test]
    fn instants() {
        assert_eq!(Instant(1_000_001).to_string(), "1970-01-01T00:00:01.000001Z");
    }
}
