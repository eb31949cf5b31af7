//! A run: unit tests, models and data tests in order, at versions that nobody sees; then one row that publishes them.

mod behind;
mod changes;
mod data_tests;
mod model;
mod schedule;
mod sql;
mod state;
mod steps;
mod types;
mod unit_tests;
mod unseen;

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use streamreel_lake::Lake;

use crate::error::Result;
use crate::project::Project;
use crate::report::{Action, Outcome, Progress, Report};
use schedule::Run;
use state::State;

/// Called with what goes on, from the run's own task.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What to run and how.
#[derive(Clone)]
pub struct Options {
    /// Selectors: `name`, `+name`, `name+`, `tag:x`, `path:models/gold`; several add up, none selects all. Models that
    /// are behind are built in any case: see [`Report::also_built`].
    pub select: Vec<String>,
    /// What to leave out of the selection.
    pub exclude: Vec<String>,
    /// Derive every selected model as a whole.
    pub full_refresh: bool,
    /// Variables over those of the project.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// Told of every step.
    pub progress: Option<OnProgress>,
    /// Microseconds since 1970, UTC: when the build is finished. By default, the machine's clock.
    pub clock: fn() -> i64,
}

impl Default for Options {
    fn default() -> Self {
        let (select, exclude, vars) = (Vec::new(), Vec::new(), serde_json::Map::new());
        Self { select, exclude, full_refresh: false, vars, progress: None, clock: machine_clock }
    }
}

#[allow(clippy::disallowed_methods, reason = "the caller may give another clock")]
fn machine_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Builds gold from the silver that was derived last, tests it, and publishes it if no test of severity error fails.
/// The caller holds the lake's lease `build`.
///
/// A failed test is no error: see [`Report::outcome`] and [`Report::failures`]. Then, and after an error or a crash,
/// readers go on seeing the build before; the next run starts from there.
///
/// # Errors
/// [`crate::Error::State`] when there is no silver yet; whatever is wrong in the project; what the lake refuses.
///
/// Boxed, so that the compiler makes the code of a run here, and not anew in each program that builds.
#[inline(never)]
pub fn run<'a>(lake: &'a Lake, project: &'a Project, options: &'a Options) -> BoxFuture<'a, Result<Report>> {
    build_and_publish(lake, project, options).boxed()
}

async fn build_and_publish(lake: &Lake, project: &Project, options: &Options) -> Result<Report> {
    let started = Instant::now();
    let with_vars;
    let project = if options.vars.is_empty() {
        project
    } else {
        with_vars = project.with_vars(&options.vars)?;
        &with_vars
    };
    let chosen = crate::select::select(project, &options.select, &options.exclude)?;
    let state = State::open(lake, project).await?;
    let selected = behind::with_those_behind(project, &state, &chosen)?;
    let mut report = Report {
        outcome: Outcome::UpToDate,
        models: Vec::new(),
        tests: Vec::new(),
        also_built: Vec::new(),
        elapsed: started.elapsed(),
    };
    if !options.full_refresh && state.is_up_to_date(project, &selected) {
        report.elapsed = started.elapsed();
        return Ok(report);
    }
    let partial = selected.len() < project.models.len();
    let run = Run { project, options, state, selected, partial };
    let (models, tests) = run.all().await?;
    let also_built =
        models.iter().filter(|model| !chosen.contains(&model.name) && !matches!(model.action, Action::Skipped { .. }));
    report.also_built = also_built.map(|model| model.relation.clone()).collect();
    (report.models, report.tests) = (models, tests);
    if report.failures().next().is_some() {
        report.outcome = Outcome::NotPublished;
    } else {
        let build_id = run.state.publish(project, !partial, &report.tests, (options.clock)()).await?;
        report.outcome = Outcome::Published { build_id };
    }
    report.elapsed = started.elapsed();
    Ok(report)
}
