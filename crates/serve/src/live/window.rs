//! Counts by second, of the last two minutes.

use std::collections::VecDeque;

use serde::Serialize;
use utoipa::ToSchema;

/// Seconds kept.
const SECONDS: usize = 120;
/// Rates are means over so many whole seconds: commits come about once a second, and not quite in step with it.
const RATE_SECONDS: usize = 5;

/// Records by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// Came into the topic.
    pub(crate) received: u64,
    /// Are clean events.
    pub(crate) clean: u64,
    /// Are no events.
    pub(crate) rejected: u64,
    /// Are copies.
    pub(crate) duplicate: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.received += other.received;
        self.clean += other.clean;
        self.rejected += other.rejected;
        self.duplicate += other.duplicate;
    }
}

/// The counts of a second.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Second {
    /// When it began, seconds since 1970.
    #[serde(serialize_with = "super::snapshot::second")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: i64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// A ring of seconds, the running one last.
#[derive(Debug)]
pub(crate) struct Window {
    seconds: VecDeque<Second>,
    total: Counts,
}

impl Window {
    /// A window that begins in this second.
    pub(crate) fn new(now_s: i64) -> Self {
        let seconds = VecDeque::from([Second { at: now_s, counts: Counts::default() }]);
        Self { seconds, total: Counts::default() }
    }

    /// Moves on to this second. A clock that runs back stays where it was.
    pub(crate) fn roll(&mut self, now_s: i64) {
        let last = self.last().at;
        // After a long sleep there is nothing of the last two minutes but zeros.
        for at in (last + 1).max(now_s - SECONDS as i64 + 1)..=now_s {
            self.seconds.push_back(Second { at, counts: Counts::default() });
        }
        while self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
    }

    /// Adds to the running second.
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.total.add(counts);
        self.seconds.back_mut().expect("there is always a running second").counts.add(counts);
    }

    /// Since the window began.
    pub(crate) fn total(&self) -> Counts {
        self.total
    }

    /// The seconds, oldest first.
    pub(crate) fn seconds(&self) -> Vec<Second> {
        self.seconds.iter().copied().collect()
    }

    /// Means a second: received, clean, rejected, duplicate.
    pub(crate) fn rates(&self) -> [f64; 4] {
        let (mut sum, mut seconds) = (Counts::default(), 0_u32);
        for second in self.seconds.iter().rev().skip(1).take(RATE_SECONDS) {
            sum.add(&second.counts);
            seconds += 1;
        }
        let mean = |count: u64| count as f64 / f64::from(seconds.max(1));
        [mean(sum.received), mean(sum.clean), mean(sum.rejected), mean(sum.duplicate)]
    }

    fn last(&self) -> &Second {
        self.seconds.back().expect("there is always a running second")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(received: u64) -> Counts {
        Counts { received, ..Counts::default() }
    }

    #[test]
    fn rates_are_of_whole_seconds() {
        let mut window = Window::new(100);
        window.add(&received(10));
        assert_eq!(window.rates()[0], 0.0, "the running second is no whole one");
        window.roll(101);
        window.add(&received(99));
        assert_eq!(window.rates()[0], 10.0);
        window.roll(103);
        assert_eq!(window.rates()[0], 109.0 / 3.0, "a second without records counts");
        window.roll(105);
        assert_eq!(window.rates()[0], 109.0 / 5.0);
        window.roll(106);
        assert_eq!(window.rates()[0], 99.0 / 5.0, "what is older than five seconds is past");
        assert_eq!(window.total().received, 109);
    }

    #[test]
    fn two_minutes_are_kept_without_gaps() {
        let mut window = Window::new(100);
        for (now, expected) in [(100, 1), (99, 1), (150, 51), (1_000_000, 120), (1_000_001, 120)] {
            window.roll(now);
            let seconds = window.seconds();
            assert_eq!(seconds.len(), expected, "{now}");
            assert!(seconds.windows(2).all(|pair| pair[1].at == pair[0].at + 1), "{now}");
        }
    }
}
