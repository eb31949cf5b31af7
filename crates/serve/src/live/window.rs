//! Counts by second, of the last two minutes.

use std::collections::VecDeque;

use serde::Serialize;
use utoipa::ToSchema;

/// Seconds kept.
const SECONDS: usize = 120;
/// Rates are means over so many whole seconds.
const RATE_SECONDS: usize = 5;
/// What is found at once came in over no more than this time.
const LONGEST_COMMIT_US: i64 = 2_000_000;

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
    fn each(&self) -> [u64; 4] {
        [self.received, self.clean, self.rejected, self.duplicate]
    }

    fn each_mut(&mut self) -> [&mut u64; 4] {
        [&mut self.received, &mut self.clean, &mut self.rejected, &mut self.duplicate]
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        for (count, other) in self.each_mut().into_iter().zip(other.each()) {
            *count += other;
        }
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
    /// When each count rose last, microseconds since 1970.
    rose_us: [i64; 4],
}

impl Window {
    /// A window that begins in this second.
    pub(crate) fn new(now_s: i64) -> Self {
        let seconds = VecDeque::from([Second { at: now_s, counts: Counts::default() }]);
        Self { seconds, total: Counts::default(), rose_us: [now_s * 1_000_000; 4] }
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

    /// Adds what was found at `now_us`. Commits come about once a second, not in step with it: what one brings is spread evenly
    /// over the time since the one before, so that a steady stream shows as one.
    pub(crate) fn add(&mut self, counts: &Counts, now_us: i64) {
        self.total.add(counts);
        // Where a clock was set back, the running second goes on.
        let now_us = now_us.max(self.last().at * 1_000_000 + 1);
        for (which, count) in counts.each().into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let from_us = self.rose_us[which].clamp(now_us - LONGEST_COMMIT_US, now_us - 1);
            self.rose_us[which] = now_us;
            self.spread(which, count, from_us, now_us);
        }
    }

    fn spread(&mut self, which: usize, count: u64, from_us: i64, to_us: i64) {
        let last = self.last().at;
        let first = self.seconds[0].at;
        let mut given = 0;
        for at in from_us.div_euclid(1_000_000).clamp(first, last)..=last {
            let until_us = if at == last { to_us } else { ((at + 1) * 1_000_000).clamp(from_us, to_us) };
            let so_far = i128::from(count) * i128::from(until_us - from_us) / i128::from(to_us - from_us);
            let so_far = u64::try_from(so_far).unwrap_or(0);
            let second = &mut self.seconds[usize::try_from(at - first).unwrap_or(0)];
            *second.counts.each_mut()[which] += so_far - given;
            given = so_far;
        }
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
        window.add(&received(10), 100_500_000);
        assert_eq!(window.rates()[0], 0.0, "the running second is no whole one");
        window.roll(101);
        assert_eq!(window.rates()[0], 10.0);
        window.roll(105);
        assert_eq!(window.rates()[0], 10.0 / 5.0, "a second without records counts");
        window.roll(106);
        assert_eq!(window.rates()[0], 0.0, "what is older than five seconds is past");
        assert_eq!(window.total().received, 10);
    }

    #[test]
    fn a_commit_is_spread_over_the_time_since_the_one_before() {
        let mut window = Window::new(100);
        window.add(&received(1), 100_400_000);
        window.roll(101);
        let counts = Counts { received: 1_000, clean: 7, ..Counts::default() };
        window.add(&counts, 101_400_000);
        let by_second = |window: &Window| window.seconds().iter().map(|s| s.counts.received).collect::<Vec<_>>();
        assert_eq!(by_second(&window), [601, 400]);
        assert_eq!(window.seconds().iter().map(|s| s.counts.clean).sum::<u64>(), 7, "every record is in one second");
        window.roll(110);
        window.add(&received(40), 110_500_000);
        assert_eq!(by_second(&window)[7..], [0, 10, 20, 10], "after a long silence: over two seconds");
        window.add(&received(5), 90_000_000);
        assert_eq!(by_second(&window)[10], 15, "a clock that was set back");
        assert_eq!(window.total().received, 1_046);
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
