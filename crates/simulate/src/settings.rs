//! What a simulation is asked for, and the checks on it.

use crate::error::Error;

/// 2026-01-05T00:00:00Z, a Monday, in epoch milliseconds: where a simulation starts unless told otherwise.
pub const DEFAULT_START_MS: i64 = 1_767_571_200_000;

/// How many records, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Exactly `records` records on the wire (events, rejects and copies together), spread over `days` days with the
    /// daily rhythm of the viewers. What was late comes after the last day.
    Records {
        /// Number of records, at least 1.
        records: u64,
        /// Days that the views begin in, 1 to 3650.
        days: u32,
    },
    /// `per_s` records a second of simulated time, without an end or until `for_ms` has gone by.
    Rate {
        /// Records a second, above 0.
        per_s: f64,
        /// Milliseconds from the start to the end; `None` goes on until [`crate::Simulator::stop_at`].
        for_ms: Option<i64>,
    },
}

/// Which players the viewers use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Players {
    /// The whole range, from every field to the four that are required.
    #[default]
    All,
    /// Only those that send `user_id`, `video_id`, `timestamp` and `event_type` and nothing else.
    Minimal,
}

/// A simulation. The same settings and catalogue give the same bytes, however they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How many records, and how fast.
    pub pace: Pace,
    /// Beginning of simulated time, epoch milliseconds.
    pub start_ms: i64,
    /// Different seeds give different viewers (the seed is part of `user_id`), so that the truths of several processes
    /// into one topic add up.
    pub seed: u64,
    /// Size of the audience; `None`: one for 60 records, or 600 for each record a second.
    pub users: Option<u64>,
    /// Number of videos; `None`: those of the catalogue. Beyond the catalogue, titles are invented.
    pub videos: Option<u32>,
    /// Share of the records that are dirt (rejects and copies), 0 to 0.9. Disorder, late arrival and fields that have to
    /// be corrected come and go with it.
    pub dirt_ratio: f64,
    /// Share of the true events that are lost on their way, 0 to 0.9. The truth stays the truth of what was watched.
    pub loss_ratio: f64,
    /// Which players the viewers use.
    pub players: Players,
}

impl Default for Settings {
    /// 100,000 records over 7 days, seed 1, 5 % dirt, nothing lost.
    fn default() -> Self {
        Self {
            pace: Pace::Records { records: 100_000, days: 7 },
            start_ms: DEFAULT_START_MS,
            seed: 1,
            users: None,
            videos: None,
            dirt_ratio: 0.05,
            loss_ratio: 0.0,
            players: Players::All,
        }
    }
}

/// Limits of [`Settings`].
const MOST_USERS: u64 = u32::MAX as u64;
const MOST_VIDEOS: u64 = 1_000_000;
const MOST_DAYS: u64 = 3_650;
const MOST_DIRT: f64 = 0.9;
const MOST_LOSS: f64 = 0.9;

impl Settings {
    /// What [`Simulator::new`](crate::Simulator::new) checks first, for who has something to do in between.
    ///
    /// # Errors
    /// [`Error::Ratio`], [`Error::Rate`] and [`Error::Count`] for settings out of range.
    pub fn check(&self) -> Result<(), Error> {
        count("records", self.records().unwrap_or(1), u64::MAX)?;
        count("users", self.audience(), MOST_USERS)?;
        count("videos", u64::from(self.videos.unwrap_or(1)), MOST_VIDEOS)?;
        ratio("dirt_ratio", self.dirt_ratio, MOST_DIRT)?;
        ratio("loss_ratio", self.loss_ratio, MOST_LOSS)?;
        match self.pace {
            Pace::Records { days, .. } => count("days", u64::from(days), MOST_DAYS),
            Pace::Rate { per_s, .. } if per_s > 0.0 && per_s <= 1e7 => Ok(()),
            Pace::Rate { per_s, .. } => Err(Error::Rate(per_s)),
        }
    }

    /// Size of the audience.
    pub(crate) fn audience(&self) -> u64 {
        let sensible = match self.pace {
            Pace::Records { records, .. } => (records / 60).clamp(20, 50_000_000),
            Pace::Rate { per_s, .. } => ((per_s * 600.0) as u64).clamp(200, 50_000_000),
        };
        self.users.unwrap_or(sensible)
    }

    pub(crate) fn records(&self) -> Option<u64> {
        match self.pace {
            Pace::Records { records, .. } => Some(records),
            Pace::Rate { .. } => None,
        }
    }
}

fn count(name: &'static str, value: u64, most: u64) -> Result<(), Error> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(Error::Count { name, value, most }) }
}

fn ratio(name: &'static str, value: f64, most: f64) -> Result<(), Error> {
    if (0.0..=most).contains(&value) { Ok(()) } else { Err(Error::Ratio { name, value, most }) }
}
