//! The data files of a snapshot, and which of them can hold what.

use std::collections::HashSet;

use chrono::{DateTime, SubsecRound, Utc};
use deltalake::kernel::LogicalFileView;
use serde_json::Value;

use crate::table::Table;

/// Least and greatest value per column of a file, as far as its writer kept them.
pub(crate) struct Bounds {
    min: Value,
    max: Value,
}

impl Bounds {
    pub(crate) fn of(file: &LogicalFileView) -> Self {
        let mut stats: Value = file.stats().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut take = |name: &str| stats.get_mut(name).map(Value::take).unwrap_or_default();
        Self { min: take("minValues"), max: take("maxValues") }
    }

    /// Bounds of a timestamp column in microseconds. The format keeps milliseconds, so the upper one is rounded up.
    pub(crate) fn timestamps(&self, column: &str) -> Option<(i64, i64)> {
        let micros = |value: &Value| Some(parse_timestamp(value.get(column)?.as_str()?)?.timestamp_micros());
        Some((micros(&self.min)?, micros(&self.max)?.saturating_add(999)))
    }

    /// Bounds of a text column; the upper one may be longer than any value.
    pub(crate) fn texts(&self, column: &str) -> Option<(&str, &str)> {
        Some((self.min.get(column)?.as_str()?, self.max.get(column)?.as_str()?))
    }
}

fn parse_timestamp(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}Z")));
    parsed.ok().map(|at| at.with_timezone(&Utc).trunc_subsecs(6))
}

impl Table {
    /// The files of this version.
    pub(crate) fn files(&self) -> Vec<LogicalFileView> {
        self.delta().snapshot().map(|state| state.log_data().iter().collect()).unwrap_or_default()
    }

    /// The files that can hold rows of these partitions with a timestamp in the window.
    pub(crate) fn files_within(
        &self,
        partitions: Option<&[String]>,
        window: Option<&(String, i64, i64)>,
    ) -> Vec<LogicalFileView> {
        let wanted: Option<HashSet<&str>> = partitions.map(|values| values.iter().map(String::as_str).collect());
        let first = self.placing.partition_by.first();
        let in_partition = |file: &LogicalFileView| match (&wanted, first) {
            (Some(wanted), Some(column)) => match file.partition_values_map().get(column) {
                Some(Some(value)) => wanted.contains(value.as_str()),
                _ => true,
            },
            _ => true,
        };
        let in_window = |file: &LogicalFileView| match window {
            Some((column, from, to)) => {
                Bounds::of(file).timestamps(column).is_none_or(|(least, greatest)| least <= *to && greatest >= *from)
            }
            None => true,
        };
        self.files().into_iter().filter(|file| in_partition(file) && in_window(file)).collect()
    }
}
