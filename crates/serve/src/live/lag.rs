//! How long things take on their way, from what is seen in passing.

use std::collections::VecDeque;

/// Latest events whose way is measured.
const SAMPLES: usize = 512;
/// How long a sample counts.
const SAMPLE_AGE_US: i64 = 60_000_000;
/// Moments remembered at which more was clean: the last quarter of an hour, at ten looks a second.
const MOMENTS: usize = 9_000;

/// From the time in an event to when it was seen as a clean one.
#[derive(Debug, Default)]
pub(crate) struct ToClean {
    /// When seen, and how old the event was then; microseconds.
    samples: VecDeque<(i64, i64)>,
}

impl ToClean {
    /// Takes a clean event.
    pub(crate) fn see(&mut self, event_us: i64, now_us: i64) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now_us, now_us - event_us));
    }

    /// The median of the last minute, milliseconds. A player's clock that runs ahead can make it negative: taken as 0.
    pub(crate) fn median_ms(&self, now_us: i64) -> Option<i64> {
        let fresh = self.samples.iter().filter(|(seen_us, _)| now_us - seen_us <= SAMPLE_AGE_US);
        let mut ages: Vec<i64> = fresh.map(|(_, age_us)| *age_us).collect();
        let middle = ages.len().checked_sub(1)? / 2;
        let (_, median, _) = ages.select_nth_unstable(middle);
        Some((*median / 1000).max(0))
    }
}

/// From the cleaned topics to bronze, by how many records each has.
#[derive(Debug, Default)]
pub(crate) struct ToLake {
    /// When the cleaned topics were first seen to have so many records; both rise.
    cleaned: VecDeque<(i64, u64)>,
    /// How long the records took that bronze got last, microseconds.
    last_us: Option<i64>,
    landed: Option<u64>,
}

impl ToLake {
    /// The cleaned topics have so many records.
    pub(crate) fn cleaned(&mut self, records: u64, now_us: i64) {
        if self.cleaned.back().is_some_and(|(_, before)| *before >= records) {
            return;
        }
        if self.cleaned.len() >= MOMENTS {
            self.cleaned.pop_front();
        }
        self.cleaned.push_back((now_us, records));
    }

    /// Bronze has so many.
    pub(crate) fn landed(&mut self, records: u64, now_us: i64) {
        let before = self.landed.replace(records);
        if before.is_none_or(|before| before >= records) {
            // Of the first look it is not known when it came.
            self.forget(records);
            return;
        }
        // When the last of them were clean: bronze may also be ahead of the topics.
        let moment = self.cleaned.iter().find(|(_, cleaned)| *cleaned >= records);
        self.last_us = Some(moment.map_or(0, |(cleaned_us, _)| now_us - cleaned_us));
        self.forget(records);
    }

    /// Moments of which all is landed are of no use any more, but for the last of them.
    fn forget(&mut self, landed: u64) {
        while self.cleaned.get(1).is_some_and(|(_, cleaned)| *cleaned <= landed) {
            self.cleaned.pop_front();
        }
    }

    /// How long it takes, milliseconds; while bronze stands still, how long it has been behind. `None`: not seen yet.
    pub(crate) fn ms(&self, now_us: i64) -> Option<i64> {
        let landed = self.landed?;
        let behind = self.cleaned.iter().find(|(_, cleaned)| *cleaned > landed);
        let waiting_us = behind.map(|(cleaned_us, _)| now_us - cleaned_us);
        self.last_us.max(waiting_us).map(|us| (us / 1000).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn the_median_of_the_last_minute() {
        let mut lag = ToClean::default();
        assert_eq!(lag.median_ms(0), None);
        for age_s in [9, 1, 2] {
            lag.see(100 * S - age_s * S, 100 * S);
        }
        assert_eq!(lag.median_ms(100 * S), Some(2_000));
        assert_eq!(lag.median_ms(161 * S), None);
        for _ in 0..2 * SAMPLES {
            lag.see(300 * S, 200 * S);
        }
        assert_eq!(lag.median_ms(200 * S), Some(0), "from the future");
        assert_eq!(lag.samples.len(), SAMPLES);
    }

    #[test]
    fn the_way_to_the_lake() {
        let mut lag = ToLake::default();
        lag.cleaned(1000, 0);
        assert_eq!(lag.ms(0), None);
        lag.landed(1000, 0);
        assert_eq!(lag.ms(5 * S), None, "nothing has moved yet");
        lag.cleaned(1100, 10 * S);
        lag.cleaned(1200, 11 * S);
        assert_eq!(lag.ms(12 * S), Some(2_000), "it has been behind for 2 s");
        lag.landed(1100, 12 * S);
        assert_eq!(lag.ms(12 * S), Some(2_000), "the first hundred took 2 s");
        lag.landed(1200, 12 * S + S / 2);
        assert_eq!(lag.ms(20 * S), Some(1_500), "the second hundred 1.5 s");
        lag.cleaned(1300, 30 * S);
        assert_eq!(lag.ms(90 * S), Some(60_000), "it stands still");
        lag.landed(1400, 91 * S);
        assert_eq!(lag.ms(91 * S), Some(0), "bronze is ahead of the topics");
        lag.cleaned(1400, 92 * S);
        assert_eq!(lag.ms(99 * S), Some(0));
    }
}
