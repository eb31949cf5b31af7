//! Whether something was committed: the ends of the partitions in use, asked for now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An answer counts for so long, so that those who ask all the time cost the brokers little.
const FRESH: Duration = Duration::from_millis(15);

/// The ends as they were when last asked for.
#[derive(Default)]
pub(super) struct Versions {
    ends: BTreeMap<(String, u32), i64>,
    version: u64,
    /// Something was committed here of which the version does not tell yet.
    has_committed: bool,
    asked: Option<Instant>,
    failing_since: Option<Instant>,
}

impl Versions {
    /// The version, if it is fresh enough.
    pub(super) fn fresh(&self) -> Option<u64> {
        self.asked.filter(|asked| asked.elapsed() < FRESH).map(|_| self.version)
    }

    /// Whether the ends are those of a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        self.failing_since.is_none() && self.fresh().is_some()
    }

    /// Something was committed here: the next who asks is told so, and what is, whether readers see it already or not.
    pub(super) fn expire(&mut self) {
        self.asked = None;
        self.has_committed = true;
    }

    /// Takes the ends.
    pub(super) fn update(&mut self, ends: impl Iterator<Item = ((String, u32), i64)>) -> u64 {
        let mut has_moved = std::mem::take(&mut self.has_committed);
        for (partition, end) in ends {
            has_moved |= self.ends.insert(partition, end) != Some(end);
        }
        self.version += u64::from(has_moved);
        self.asked = Some(Instant::now());
        self.failing_since = None;
        self.version
    }

    /// Nobody has answered. The version stands; `None` when that has been so for longer than `limit`.
    pub(super) fn fail(&mut self, limit: Duration) -> Option<u64> {
        self.asked = Some(Instant::now());
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        (since.elapsed() < limit).then_some(self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_rises_when_an_end_moves() {
        let mut versions = Versions::default();
        let mut see = |topic: &str, end| versions.update(std::iter::once(((topic.to_owned(), 0), end)));
        assert_eq!([see("a", 0), see("a", 0), see("a", 3), see("b", 0), see("a", 3), see("b", 1)], [1, 1, 2, 3, 3, 4]);
        assert_eq!(versions.fresh(), Some(4));
        versions.expire();
        assert!(!versions.is_fresh());
        assert_eq!([(); 2].map(|()| versions.update(std::iter::empty())), [5, 5]);
        assert!(versions.is_fresh());
        assert_eq!(versions.fail(Duration::from_secs(60)), Some(5));
        assert!(!versions.is_fresh());
        assert_eq!(versions.fail(Duration::ZERO), None);
    }
}
