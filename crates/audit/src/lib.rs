//! The conservation law, proved from what is stored: nothing received is lost, nothing counts twice.
//!
//! Every [`Equation`] has two sides that come from different places: offsets of the log against rows of bronze, rows of one layer
//! against sums of the next. Bronze is read at its newest version, silver and gold at those of the last published build.

mod counters;
mod derived;
mod equation;
mod error;
mod received;
mod rows;

pub use counters::{Count, Counter};
pub use equation::{Equation, LogState, Report, Side};
pub use error::Error;

use futures::FutureExt;
use futures::future::BoxFuture;
use streamreel_lake::{Lake, Reading};
use streamreel_topic::Log;

/// The names that the processor gives to topics and to its consumer group.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Topic of what was received.
    pub received: &'a str,
    /// Topic of what is clean.
    pub clean: &'a str,
    /// Topic of all else.
    pub dead_letters: &'a str,
    /// The processor's consumer group.
    pub group: &'a str,
    /// Beside the offsets of topics: odd where bronze is landed from the cleaned ones.
    pub landed_from: &'a str,
}

/// Checks every equation. `log` is that of the home; without one, or for a lake of another log, only the lake is looked at, and
/// [`Report::log`] says so.
///
/// # Errors
/// [`Error`] if something can't be read: that is no answer, neither yes nor no.
///
/// Boxed, so that the compiler makes the code of all equations here, and not anew in each program that asks.
#[inline(never)]
pub fn audit<'a>(lake: &'a Lake, log: Option<&'a dyn Log>, names: Names<'a>) -> BoxFuture<'a, Result<Report, Error>> {
    check(lake, log, names).boxed()
}

async fn check(lake: &Lake, log: Option<&dyn Log>, names: Names<'_>) -> Result<Report, Error> {
    let mut report = Report::default();
    received::check(lake, log, names, &mut report).await?;
    if let Some(build) = lake.published().await.map_err(Error::lake("reading gold.builds"))? {
        let session =
            lake.session(&Reading::At(build.versions.clone())).await.map_err(Error::lake("opening the build"))?;
        derived::check(&session, &mut report).await?;
        counters::sum(&session, &mut report).await?;
        report.build_id = Some(build.build_id);
    }
    Ok(report)
}
