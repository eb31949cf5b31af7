//! The numbers that every list of views has.

use serde::Serialize;
use utoipa::ToSchema;

use crate::silver::Facts;

/// Sums and means over views.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub(crate) struct Totals {
    /// Views, those that watched nothing included.
    pub(crate) views: i64,
    /// Different people.
    pub(crate) viewers: i64,
    /// Content seconds watched; watched twice counts twice.
    pub(crate) watch_time_s: f64,
    /// Mean part of the video that a view watched, 0 to 100, over the views whose duration is known.
    pub(crate) avg_retention: Option<f64>,
    /// Completed views / views whose duration is known, 0 to 1.
    pub(crate) completion_rate: Option<f64>,
    /// Views with a watch time of at least 10 s, or of half of a short video.
    pub(crate) engaged_views: i64,
}

impl Totals {
    /// Of views and their viewers.
    pub(crate) fn new(facts: &Facts, viewers: i64) -> Self {
        Self {
            views: facts.views,
            viewers,
            watch_time_s: facts.watch_time_s(),
            avg_retention: facts.avg_percentage(),
            completion_rate: facts.completion_rate(),
            engaged_views: facts.engaged,
        }
    }
}

/// Views of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct GroupCount {
    /// The group; null is the one whose value is unknown.
    pub(crate) value: Option<String>,
    /// Its views.
    pub(crate) views: i64,
}

/// By views, most first; then by value, the unknown last.
pub(crate) fn sort_groups(groups: &mut [GroupCount]) {
    let key = |group: &GroupCount| (-group.views, group.value.is_none());
    groups.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.value.cmp(&b.value)));
}

/// A list that was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Cut {
    /// What is there at most.
    pub(crate) limit: usize,
    /// What there would be.
    pub(crate) total: usize,
}
