//! Which views a build must derive again: those that new events may belong to, and those whose metadata changed.
//!
//! A view with a session is found by its viewer, video and session, however long ago it was. A view without one is touched
//! by an event of its viewer and video that comes at most the view gap before its first or after its last event; two earlier
//! views further apart than the gap are joined only by events that touch both, so nothing else can be.

use std::collections::{BTreeSet, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use hashbrown::HashMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

/// Viewer and video, and the session if there is one.
pub(crate) type GroupKey = u128;

pub(crate) fn group_key(user: &str, video: &str, session: Option<&str>) -> GroupKey {
    let seed = xxh3_64_with_seed(video.as_bytes(), xxh3_64(user.as_bytes()));
    // A session id is never empty, so that "none" has a key of its own.
    xxh3_128_with_seed(session.unwrap_or_default().as_bytes(), seed)
}

/// What new events and changed metadata touch.
pub struct Touched {
    gap_us: i64,
    sessions: HashSet<GroupKey>,
    /// Without a session: intervals of event time, in microseconds.
    intervals: HashMap<GroupKey, Vec<(i64, i64)>>,
    videos: HashSet<String>,
    users: HashSet<String>,
}

/// A group of the curves and tables: video, region, date (days since 1970).
pub type Group = (String, Option<String>, i32);

/// Views of the last build that are derived again.
#[derive(Debug, Default)]
pub struct EarlierViews {
    /// Their ids.
    pub view_ids: HashSet<String>,
    /// Their dates, in days since 1970.
    pub dates: BTreeSet<i32>,
    /// The groups that they counted in.
    pub groups: BTreeSet<Group>,
    /// Time of the first event of any of them, microseconds.
    pub first_us: i64,
    /// Time of the last event of any of them, microseconds.
    pub last_us: i64,
    /// Their events.
    pub events: u64,
}

impl Touched {
    /// Nothing yet; views without a session are split by gaps longer than `gap_us`.
    pub fn new(gap_us: i64, videos: HashSet<String>, users: HashSet<String>) -> Self {
        Self { gap_us, sessions: HashSet::new(), intervals: HashMap::new(), videos, users }
    }

    /// Takes note of new events.
    pub fn add_events(&mut self, batch: &RecordBatch) {
        let users = batch["user_id"].as_string::<i32>();
        let videos = batch["video_id"].as_string::<i32>();
        let sessions = batch["session_id"].as_string::<i32>();
        let times = batch["event_ts"].as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let session = sessions.is_valid(row).then(|| sessions.value(row));
            let key = group_key(users.value(row), videos.value(row), session);
            if session.is_some() {
                self.sessions.insert(key);
                continue;
            }
            let at = times.value(row);
            let intervals = self.intervals.entry(key).or_default();
            match intervals.last_mut() {
                Some((from, to)) if at >= *from - self.gap_us && at <= *to + self.gap_us => {
                    *from = at.min(*from);
                    *to = at.max(*to);
                }
                _ => intervals.push((at, at)),
            }
        }
    }

    /// Whether nothing is touched.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.intervals.is_empty() && self.videos.is_empty() && self.users.is_empty()
    }

    /// Adds to `earlier` those rows of `silver.view_spans` that are touched.
    pub fn select(&self, spans: &RecordBatch, earlier: &mut EarlierViews) {
        let text = |name: &str| spans[name].as_string::<i32>();
        let (ids, users, videos) = (text("view_id"), text("user_id"), text("video_id"));
        let (sessions, regions) = (text("session_id"), text("region"));
        let first = spans["first_event_at"].as_primitive::<TimestampMicrosecondType>();
        let last = spans["last_event_at"].as_primitive::<TimestampMicrosecondType>();
        let dates = spans["view_date"].as_primitive::<Date32Type>();
        let events = spans["events"].as_primitive::<arrow_array::types::Int64Type>();
        for row in 0..spans.num_rows() {
            let session = sessions.is_valid(row).then(|| sessions.value(row));
            let (user, video) = (users.value(row), videos.value(row));
            let (from, to) = (first.value(row), last.value(row));
            if !self.touches(user, video, session, from, to) {
                continue;
            }
            if earlier.view_ids.is_empty() {
                (earlier.first_us, earlier.last_us) = (from, to);
            }
            earlier.first_us = earlier.first_us.min(from);
            earlier.last_us = earlier.last_us.max(to);
            earlier.events += events.value(row) as u64;
            earlier.dates.insert(dates.value(row));
            let region = regions.is_valid(row).then(|| regions.value(row).to_owned());
            earlier.groups.insert((video.to_owned(), region, dates.value(row)));
            earlier.view_ids.insert(ids.value(row).to_owned());
        }
    }

    fn touches(&self, user: &str, video: &str, session: Option<&str>, from: i64, to: i64) -> bool {
        if self.videos.contains(video) || self.users.contains(user) {
            return true;
        }
        let key = group_key(user, video, session);
        if session.is_some() {
            return self.sessions.contains(&key);
        }
        let near = |&(a, b): &(i64, i64)| a <= to.saturating_add(self.gap_us) && b >= from.saturating_sub(self.gap_us);
        self.intervals.get(&key).is_some_and(|intervals| intervals.iter().any(near))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    const GAP_US: i64 = 30;

    fn events(rows: &[(&str, &str, Option<&str>, i64)]) -> RecordBatch {
        let users: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0)));
        let videos: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
        let sessions: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<StringArray>());
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.3)));
        RecordBatch::try_from_iter_with_nullable([
            ("user_id", users, true),
            ("video_id", videos, true),
            ("session_id", sessions, true),
            ("event_ts", times, true),
        ])
        .unwrap()
    }

    /// View, session, first and last event.
    type Span = (&'static str, Option<&'static str>, i64, i64);

    fn spans() -> RecordBatch {
        let rows: [Span; 4] = [
            ("with-session", Some("s1"), 0, 10),
            ("early", None, 0, 10),
            ("middle", None, 100, 110),
            ("late", None, 171, 180),
        ];
        let text = |f: fn(&Span) -> Option<&'static str>| -> ArrayRef {
            Arc::new(rows.iter().map(f).collect::<StringArray>())
        };
        let time = |f: fn(&Span) -> i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(f)))
        };
        RecordBatch::try_from_iter_with_nullable([
            ("view_id", text(|r| Some(r.0)), true),
            ("user_id", text(|_| Some("u")), true),
            ("video_id", text(|_| Some("v")), true),
            ("session_id", text(|r| r.1), true),
            ("region", text(|_| None), true),
            ("view_date", Arc::new(Date32Array::from(vec![7; 4])) as ArrayRef, true),
            ("first_event_at", time(|r| r.2), true),
            ("last_event_at", time(|r| r.3), true),
            ("events", Arc::new(Int64Array::from(vec![2; 4])) as ArrayRef, true),
        ])
        .unwrap()
    }

    #[test]
    fn touched_views() {
        type Case<'a> = (&'a [(&'a str, &'a str, Option<&'a str>, i64)], &'a [&'a str], &'a [&'a str]);
        let cases: [Case; 9] = [
            (&[("u", "v", Some("s1"), 9_000)], &[], &["with-session"]),
            (&[("u", "v", Some("s2"), 5)], &[], &[]),
            (&[("u", "v", None, 40)], &[], &["early"]),
            (&[("u", "v", None, 41)], &[], &[]),
            (&[("u", "v", None, 69)], &[], &[]),
            (&[("u", "v", None, 70)], &[], &["middle"]),
            (&[("u", "v", None, 140), ("u", "v", None, 141)], &[], &["late", "middle"]),
            (&[("w", "v", None, 5), ("u", "w", None, 5)], &[], &[]),
            (&[], &["v"], &["early", "late", "middle", "with-session"]),
        ];
        for (new, videos, expected) in cases {
            let videos = videos.iter().map(|v| (*v).to_owned()).collect();
            let mut touched = Touched::new(GAP_US, videos, HashSet::new());
            touched.add_events(&events(new));
            let mut earlier = EarlierViews::default();
            touched.select(&spans(), &mut earlier);
            let mut found: Vec<_> = earlier.view_ids.iter().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{new:?}");
            assert_eq!(earlier.events, 2 * found.len() as u64);
        }
    }
}
