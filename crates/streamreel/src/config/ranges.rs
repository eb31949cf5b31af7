//! What the values of settings can be: whatever is a number, a time or a size has a range.

use std::time::Duration;

use bytesize::ByteSize;
use streamreel_event::MAX_DURATION_S;

use super::{SHORTEST_VACUUM_RETENTION, Settings};

/// The most partitions that a topic can have.
const MOST_PARTITIONS: u32 = 10_000;
/// Less than this between commits would leave little but commits.
const SHORTEST_COMMIT: Duration = Duration::from_millis(10);
/// More than a machine has addresses for.
const MOST_CONNECTIONS: usize = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);
/// The longest wait for somebody who does not answer.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest that PostgreSQL's clients can write as `statement_timeout`, in whole days.
const LONGEST_STATEMENT: Duration = Duration::from_secs(24 * 24 * 3600);
/// Sorts that spill must hold what they merge: with 24 MiB a build of 300,000 events fails on two cores.
const LEAST_MEMORY: ByteSize = ByteSize::mib(64);
/// Over SQL, of one query or of all: with 16 MiB a sort fails on two cores.
const LEAST_QUERY_MEMORY: ByteSize = ByteSize::mib(32);
/// The collector answers everything with 429 where not even one largest request finds room.
const LEAST_COLLECTOR_MEMORY: ByteSize = ByteSize::mib(1);
const LEAST_FILE: ByteSize = ByteSize::mib(1);
const LEAST_SPOOL: ByteSize = ByteSize::mib(1);

/// A kind of value that has an order.
trait Bounded: Copy + PartialOrd {
    /// More than this nobody means, and sums with it could overflow.
    const MOST: Self;

    /// As it is written in a configuration.
    fn text(self) -> String;
}

impl Bounded for Duration {
    /// 1000 years, as `humantime` counts them.
    const MOST: Self = Duration::from_secs(1000 * 31_557_600);

    fn text(self) -> String {
        humantime::format_duration(self).to_string()
    }
}

impl Bounded for ByteSize {
    const MOST: Self = ByteSize::pib(1024);

    fn text(self) -> String {
        self.to_string()
    }
}

impl Bounded for f64 {
    const MOST: Self = f64::MAX;

    fn text(self) -> String {
        self.to_string()
    }
}

impl Bounded for u32 {
    const MOST: Self = u32::MAX;

    fn text(self) -> String {
        self.to_string()
    }
}

impl Bounded for usize {
    const MOST: Self = usize::MAX;

    fn text(self) -> String {
        self.to_string()
    }
}

/// What is expected of a value that is less, or more than anybody means.
fn at_least<T: Bounded>(value: T, least: T) -> Option<String> {
    if value > T::MOST {
        return Some(format!("expected {} or less", T::MOST.text()));
    }
    (value < least).then(|| format!("expected {} or more", least.text()))
}

/// What is expected of a value that is less or more. What is no number is in no range.
fn between<T: Bounded>(value: T, least: T, most: T) -> Option<String> {
    let is_inside = value >= least && value <= most;
    (!is_inside).then(|| format!("expected {} to {}", least.text(), most.text()))
}

/// Adds the reason for a range.
fn because(expected: Option<String>, reason: &str) -> Option<String> {
    expected.map(|expected| format!("{expected}, {reason}"))
}

/// Every setting that has a range, with what is expected of it where its value is not inside.
pub(super) fn expected(settings: &Settings) -> Vec<(&'static str, Option<String>)> {
    let Settings { log, lake, process, view, build, upkeep, query, serve, collector, sql, .. } = settings;
    let zero = Duration::ZERO;
    vec![
        ("log.timeout", between(log.timeout, SECOND, DAY)),
        ("log.partitions", between(log.partitions, 1, MOST_PARTITIONS)),
        ("log.retention", at_least(log.retention, zero)),
        ("log.retention_size", at_least(log.retention_size, ByteSize(0))),
        ("lake.timeout", between(lake.timeout, SECOND, DAY)),
        ("lake.lease_expiry", between(lake.lease_expiry, SECOND, DAY)),
        ("process.commit_interval", at_least(process.commit_interval, SHORTEST_COMMIT)),
        ("process.topics_interval", at_least(process.topics_interval, SHORTEST_COMMIT)),
        ("process.commit_records", at_least(process.commit_records, 1)),
        ("process.dedupe_window", at_least(process.dedupe_window, zero)),
        ("process.dedupe_max_entries", at_least(process.dedupe_max_entries, 1)),
        ("view.gap", at_least(view.gap, SECOND)),
        ("view.max_unproven", at_least(view.max_unproven, SECOND)),
        ("view.engaged_seconds", between(view.engaged_seconds, 0.0, MAX_DURATION_S)),
        ("view.engaged_ratio", between(view.engaged_ratio, 0.0, 1.0)),
        ("view.completion_ratio", between(view.completion_ratio, 0.0, 1.0)),
        ("build.every", at_least(build.every, SECOND)),
        ("build.memory", at_least(build.memory, LEAST_MEMORY)),
        ("build.spool_memory", at_least(build.spool_memory, LEAST_SPOOL)),
        ("upkeep.every", at_least(upkeep.every, SECOND)),
        (
            "upkeep.vacuum_retention",
            because(
                at_least(upkeep.vacuum_retention, SHORTEST_VACUUM_RETENTION),
                "as younger files may be of a commit that is being made",
            ),
        ),
        ("upkeep.optimize_target", at_least(upkeep.optimize_target, LEAST_FILE)),
        ("query.memory", at_least(query.memory, LEAST_MEMORY)),
        ("serve.max_connections", between(serve.max_connections, 1, MOST_CONNECTIONS)),
        ("collector.memory", at_least(collector.memory, LEAST_COLLECTOR_MEMORY)),
        ("sql.statement_timeout", between(sql.statement_timeout, zero, LONGEST_STATEMENT)),
        ("sql.query_memory", at_least(sql.query_memory, LEAST_QUERY_MEMORY)),
        ("sql.memory", at_least(sql.memory, LEAST_QUERY_MEMORY)),
        ("sql.max_connections", between(sql.max_connections, 1, MOST_CONNECTIONS)),
    ]
}
