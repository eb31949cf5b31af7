//! Sums over views, exact, in the way of the gold models (`exact_sum`, `exact_avg`, `share_of_known` in `dbt/macros`): whole
//! billionths are added as integers and become a double once, at the end. So sums of parts are equal to sums of the whole,
//! bit by bit, and to the numbers in gold.

use arrow_array::{Array, Decimal128Array, Int64Array};

use super::columns::Columns;
use super::engine::Trouble;

/// Select list over `v`, which is silver.views, for [`add_facts`].
pub(crate) const SUMS: &str = "count(*) as views, \
    sum(cast(round(v.watch_time_s * 1e9) as decimal(28, 0))) as watch_time, \
    sum(cast(round(v.watch_time_percentage * 1e9) as decimal(28, 0))) as percentage, \
    count(v.watch_time_percentage) as percentages, \
    sum(case when v.is_completed then 1 else 0 end) as completed, \
    count(v.is_completed) as completions, \
    sum(case when v.is_engaged then 1 else 0 end) as engaged";

const BILLIONTHS: f64 = 1e9;

/// Sums over some views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Views.
    pub(crate) views: i64,
    /// Billionths of seconds.
    watch_time: i128,
    /// Billionths of percentages.
    percentage: i128,
    /// Views whose percentage is known.
    percentages: i64,
    /// Completed views.
    completed: i64,
    /// Views of which is known whether they are completed.
    completions: i64,
    /// Engaged views.
    pub(crate) engaged: i64,
}

impl Facts {
    /// Adds those of other views.
    pub(crate) fn add(&mut self, other: &Self) {
        self.views += other.views;
        self.watch_time += other.watch_time;
        self.percentage += other.percentage;
        self.percentages += other.percentages;
        self.completed += other.completed;
        self.completions += other.completions;
        self.engaged += other.engaged;
    }

    /// Content seconds watched.
    pub(crate) fn watch_time_s(&self) -> f64 {
        self.watch_time as f64 / BILLIONTHS
    }

    /// Mean `watch_time_percentage` of the views that have one.
    pub(crate) fn avg_percentage(&self) -> Option<f64> {
        (self.percentages > 0).then(|| self.percentage as f64 / BILLIONTHS / self.percentages as f64)
    }

    /// Completed views / views whose duration is known.
    pub(crate) fn completion_rate(&self) -> Option<f64> {
        (self.completions > 0).then(|| self.completed as f64 / self.completions as f64)
    }
}

/// Adds the facts of each row, with the row's number.
pub(crate) fn add_facts(columns: &Columns<'_>, mut add: impl FnMut(usize, Facts)) -> Result<(), Trouble> {
    let (watch_time, percentage) = (columns.exact("watch_time")?, columns.exact("percentage")?);
    let (views, percentages) = (columns.integers("views")?, columns.integers("percentages")?);
    let (completed, completions) = (columns.integers("completed")?, columns.integers("completions")?);
    let engaged = columns.integers("engaged")?;
    let exact = |sums: &Decimal128Array, row| if sums.is_valid(row) { sums.value(row) } else { 0 };
    let number = |counts: &Int64Array, row| if counts.is_valid(row) { counts.value(row) } else { 0 };
    for row in 0..columns.0.num_rows() {
        let facts = Facts {
            views: number(&views, row),
            watch_time: exact(&watch_time, row),
            percentage: exact(&percentage, row),
            percentages: number(&percentages, row),
            completed: number(&completed, row),
            completions: number(&completions, row),
            engaged: number(&engaged, row),
        };
        add(row, facts);
    }
    Ok(())
}
