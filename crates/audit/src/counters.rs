//! What silver dropped and corrected, by name: no equation, but what explains the numbers of those there are.

use datafusion::execution::context::SessionContext;
use serde::Serialize;
use streamreel_viewing::Counters;

use crate::rows::numbers;
use crate::{Error, Report};

/// The counter of seconds, a double; all others are whole numbers.
const SECONDS: &str = "unplaced_s";
/// Where enriched events have more of it than views: copies are dropped from a group without a play, too.
const OF_EVENTS: &str = "late_duplicates";

/// A counter of [`Counters`], summed over silver.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Counter {
    /// Its name, as in `silver.views`.
    pub name: &'static str,
    /// Its sum.
    pub count: Count,
}

/// How much a counter counted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Count {
    /// How often.
    Times(i64),
    /// Wall seconds, to the microsecond.
    Seconds(f64),
}

impl Counter {
    /// The names of all counters, in the order of [`Counter::sql`]'s columns.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Counters::NAMES.iter().copied().chain([SECONDS])
    }

    /// A query over silver with one row: each counter's sum under its name, bigint; of seconds it is microseconds.
    pub fn sql() -> String {
        let of_views = Self::names().filter(|name| *name != OF_EVENTS).map(|name| match name {
            // As times are whole microseconds, nothing is lost, and the sum does not depend on the order of rows.
            SECONDS => format!("cast(sum(cast(round({name} * 1e6) as decimal(28, 0))) as bigint) as {name}"),
            _ => format!("sum({name}) as {name}"),
        });
        format!(
            "select {} from (select {} from silver.views) v \
             cross join (select sum({OF_EVENTS}) as {OF_EVENTS} from silver.enriched_events) e",
            Self::names().collect::<Vec<_>>().join(", "),
            of_views.collect::<Vec<_>>().join(", ")
        )
    }

    /// The counters of that row.
    pub fn of(row: &[i64]) -> Vec<Self> {
        let count = |name: &str, sum: i64| match name {
            SECONDS => Count::Seconds(sum as f64 / 1e6),
            _ => Count::Times(sum),
        };
        Self::names().zip(row).map(|(name, sum)| Self { name, count: count(name, *sum) }).collect()
    }
}

/// Sums all counters.
pub(crate) async fn sum(session: &SessionContext, report: &mut Report) -> Result<(), Error> {
    let rows = numbers(session, "what silver dropped and corrected", &Counter::sql()).await?;
    report.counters = rows.first().map(|row| Counter::of(row)).unwrap_or_default();
    Ok(())
}
