//! Rows of gold that add up: what they count, and how they are read.

use arrow_array::{Array, Int64Array};

use super::rows::{Group, VideoRow};
use crate::silver::{Columns, Trouble};

/// A row of `gold.retention_changes`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    group: Group,
    /// Seconds from 0.
    pub(crate) second: i64,
    plays: i64,
    watched: i64,
    survived: i64,
}

impl VideoRow for Change {
    const TABLE: &'static str = "gold.retention_changes";
    const SELECT: &'static str = "t.second_s, t.plays_change, t.watched_change, t.survived_change";

    fn read(columns: &Columns<'_>, groups: &[Group], rows: &mut Vec<Self>) -> Result<(), Trouble> {
        let (seconds, plays) = (columns.integers("second_s")?, columns.integers("plays_change")?);
        let (watched, survived) = (columns.integers("watched_change")?, columns.integers("survived_change")?);
        rows.extend(groups.iter().enumerate().map(|(row, &group)| Self {
            group,
            second: seconds.value(row),
            plays: plays.value(row),
            watched: watched.value(row),
            survived: survived.value(row),
        }));
        Ok(())
    }

    fn group(&self) -> Group {
        self.group
    }
}

/// A curve in counts, a value a second from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Times played.
    pub(crate) plays: Vec<i64>,
    /// Views that include the second.
    pub(crate) watched: Vec<i64>,
    /// Views whose last second is this or a later one.
    pub(crate) survived: Vec<i64>,
}

impl Counts {
    /// The curve of so many seconds whose changes these are.
    pub(crate) fn of_changes<'a>(changes: impl Iterator<Item = &'a Change>, seconds: usize) -> Self {
        let mut counts = Self::default().resized(seconds + 1);
        for change in changes {
            // Where a curve ends, its last changes bring it to 0.
            let second = usize::try_from(change.second).map_or(seconds, |second| second.min(seconds));
            counts.plays[second] += change.plays;
            counts.watched[second] += change.watched;
            counts.survived[second] += change.survived;
        }
        for curve in [&mut counts.plays, &mut counts.watched, &mut counts.survived] {
            let mut sum = 0;
            for value in curve {
                sum += *value;
                *value = sum;
            }
        }
        counts.resized(seconds)
    }

    /// The same curve over so many seconds.
    pub(crate) fn resized(mut self, seconds: usize) -> Self {
        for curve in [&mut self.plays, &mut self.watched, &mut self.survived] {
            curve.resize(seconds, 0);
        }
        self
    }
}

/// What happens at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    pub(crate) exits: i64,
    pub(crate) seeks_away: i64,
    pub(crate) seeks_in: i64,
    pub(crate) pauses: i64,
}

impl Actions {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.exits += other.exits;
        self.seeks_away += other.seeks_away;
        self.seeks_in += other.seeks_in;
        self.pauses += other.pauses;
    }

    /// Reads the columns of this name, row by row.
    pub(crate) fn read(columns: &Columns<'_>, mut add: impl FnMut(usize, Self)) -> Result<(), Trouble> {
        let (exits, pauses) = (columns.integers("exits")?, columns.integers("pauses")?);
        let (away, into) = (columns.integers("seeks_away")?, columns.integers("seeks_in")?);
        for row in 0..columns.0.num_rows() {
            let actions = Self {
                exits: number(&exits, row),
                seeks_away: number(&away, row),
                seeks_in: number(&into, row),
                pauses: number(&pauses, row),
            };
            add(row, actions);
        }
        Ok(())
    }
}

/// A row of `gold.drop_off`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    group: Group,
    /// Where its 5 s begin, in seconds.
    pub(crate) start_s: i64,
    /// What happens in them.
    pub(crate) actions: Actions,
}

impl VideoRow for Bucket {
    const TABLE: &'static str = "gold.drop_off";
    const SELECT: &'static str =
        "cast(t.bucket_start_s as bigint) as start_s, t.exits, t.seeks_away, t.seeks_in, t.pauses";

    fn read(columns: &Columns<'_>, groups: &[Group], rows: &mut Vec<Self>) -> Result<(), Trouble> {
        let starts = columns.integers("start_s")?;
        Actions::read(columns, |row, actions| {
            rows.push(Self { group: groups[row], start_s: starts.value(row), actions });
        })
    }

    fn group(&self) -> Group {
        self.group
    }
}

/// Views, and their seeks from the second half of the video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SeekCounts {
    pub(crate) views: i64,
    pub(crate) views_with_seek: i64,
    pub(crate) seeks: i64,
}

impl SeekCounts {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.views += other.views;
        self.views_with_seek += other.views_with_seek;
        self.seeks += other.seeks;
    }

    /// Reads the columns of this name, row by row.
    pub(crate) fn read(columns: &Columns<'_>, mut add: impl FnMut(usize, Self)) -> Result<(), Trouble> {
        let views = columns.integers("views")?;
        let (with_seek, seeks) = (columns.integers("views_with_seek")?, columns.integers("seeks")?);
        for row in 0..columns.0.num_rows() {
            let counts = Self {
                views: number(&views, row),
                views_with_seek: number(&with_seek, row),
                seeks: number(&seeks, row),
            };
            add(row, counts);
        }
        Ok(())
    }
}

/// A row of `gold.seeks_after_half`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupViews {
    group: Group,
    /// Views and seeks of the group.
    pub(crate) counts: SeekCounts,
}

impl GroupViews {
    /// Date of the views, in days since 1970.
    pub(crate) fn date(&self) -> i32 {
        self.group.date
    }
}

impl VideoRow for GroupViews {
    const TABLE: &'static str = "gold.seeks_after_half";
    const SELECT: &'static str =
        "t.views, t.views_with_seek_after_half as views_with_seek, t.seeks_after_half as seeks";

    fn read(columns: &Columns<'_>, groups: &[Group], rows: &mut Vec<Self>) -> Result<(), Trouble> {
        SeekCounts::read(columns, |row, counts| rows.push(Self { group: groups[row], counts }))
    }

    fn group(&self) -> Group {
        self.group
    }
}

fn number(column: &Int64Array, row: usize) -> i64 {
    if column.is_valid(row) { column.value(row) } else { 0 }
}
