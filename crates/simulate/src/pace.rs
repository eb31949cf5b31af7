//! When the next record is due. Views begin as soon as those that run send fewer records than are due.

use crate::audience::rhythm_of_all;
use crate::settings::{Pace, Settings};

const DAY_MS: i64 = 86_400_000;
const SLOT_MS: i64 = 1_800_000;
const SLOTS: usize = 48;

/// The clock of a simulation: maps the number of a record to the moment when it is due.
pub(crate) enum Clock {
    /// So many records over so many days, by the rhythm of the day.
    Spread {
        start_ms: i64,
        records: u64,
        days: u32,
        /// What is watched from the start to the end of each half hour of a day.
        until_slot: Box<[u64; SLOTS]>,
    },
    /// One record in so many nanoseconds.
    Steady { start_ms: i64, period_ns: u64 },
}

impl Clock {
    pub fn new(settings: &Settings) -> Self {
        let start_ms = settings.start_ms;
        match settings.pace {
            Pace::Records { records, days } => {
                let mut until_slot = Box::new([0; SLOTS]);
                let mut sum = 0;
                for (slot, until) in until_slot.iter_mut().enumerate() {
                    sum += rhythm_of_all(start_ms + slot as i64 * SLOT_MS);
                    *until = sum;
                }
                Self::Spread { start_ms, records, days, until_slot }
            }
            Pace::Rate { per_s, .. } => Self::Steady { start_ms, period_ns: ((1e9 / per_s) as u64).max(1) },
        }
    }

    /// When record `number` (from 0) is due, epoch milliseconds. Never falls with the number.
    pub fn due_ms(&self, number: u64) -> i64 {
        match self {
            Self::Steady { start_ms, period_ns } => {
                start_ms + (u128::from(number) * u128::from(*period_ns) / 1_000_000) as i64
            }
            Self::Spread { start_ms, records, days, until_slot } => {
                let a_day = until_slot[SLOTS - 1];
                let number = number.min(*records);
                let done = (u128::from(number) * u128::from(*days) * u128::from(a_day) / u128::from(*records)) as u64;
                let (day, rest) = ((done / a_day) as i64, done % a_day);
                let slot = until_slot.partition_point(|until| *until <= rest);
                let before = if slot == 0 { 0 } else { until_slot[slot - 1] };
                let within = (rest - before) as i64 * SLOT_MS / (until_slot[slot] - before) as i64;
                start_ms + day * DAY_MS + slot as i64 * SLOT_MS + within
            }
        }
    }
}
