//! How a list is sorted.

use std::cmp::Ordering;

use utoipa::openapi::path::Parameter;

use super::document;
use super::query::Params;
use crate::problem::Problem;

/// A column to sort by: its name, what it is, and whether it goes down unless asked otherwise.
pub(crate) struct SortKey<T> {
    pub(crate) name: &'static str,
    pub(crate) key: T,
    pub(crate) descending: bool,
}

/// By what, and in which direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<T> {
    pub(crate) key: T,
    pub(crate) descending: bool,
    name: &'static str,
}

impl<T: Copy> Order<T> {
    /// Takes `sort` and `order`; the first key is the one that is used otherwise.
    pub(crate) fn take(params: &mut Params, keys: &'static [SortKey<T>]) -> Result<Self, Problem> {
        let words: Vec<(&'static str, usize)> = keys.iter().map(|key| key.name).zip(0..).collect();
        let chosen = &keys[params.one_of("sort", &words)?.unwrap_or(0)];
        let descending = params.one_of("order", &[("asc", false), ("desc", true)])?.unwrap_or(chosen.descending);
        Ok(Self { key: chosen.key, descending, name: chosen.name })
    }

    /// As a query string.
    pub(crate) fn canonical(&self) -> String {
        format!("sort={}&order={}", self.name, if self.descending { "desc" } else { "asc" })
    }

    /// Sorts rows by a key of each. Rows without one come last; rows with equal ones stay as they are.
    pub(crate) fn sort<K>(
        &self,
        rows: &mut [u32],
        key: impl Fn(usize) -> Option<K>,
        compare: impl Fn(&K, &K) -> Ordering,
    ) {
        rows.sort_by(|&a, &b| match (key(a as usize), key(b as usize)) {
            (Some(a), Some(b)) if self.descending => compare(&b, &a),
            (Some(a), Some(b)) => compare(&a, &b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        });
    }
}

/// The parameters for the document.
pub(crate) fn parameters<T>(keys: &'static [SortKey<T>]) -> Vec<Parameter> {
    let first = keys.first().map(|key| key.name);
    let words = document::one_of(keys.iter().map(|key| key.name), first);
    vec![
        document::parameter("sort", "By what. Rows without a value come last.", words),
        document::parameter(
            "order",
            "In which direction; unless given, that in which the greatest number comes first, and the first text.",
            document::one_of(["asc", "desc"], None),
        ),
    ]
}
