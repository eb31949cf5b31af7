//! A run: unit tests, models and data tests in order, at versions that nobody sees; then one row that publishes them.

mod changes;
mod data_tests;
mod model;
mod sql;
mod state;
mod steps;
mod types;
mod unit_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use streamreel_lake::Lake;

use crate::Severity;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::report::{Action, ModelReport, Outcome, Progress, Report, TestResult};
use state::State;
use steps::{Step, Work};

/// Called with what goes on, from the run's own task.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// What to run and how.
#[derive(Clone)]
pub struct Options {
    /// Selectors: `name`, `+name`, `name+`, `tag:x`, `path:models/gold`; several add up, none selects all.
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
pub async fn run(lake: &Lake, project: &Project, options: &Options) -> Result<Report> {
    let started = Instant::now();
    let with_vars;
    let project = if options.vars.is_empty() {
        project
    } else {
        with_vars = project.with_vars(&options.vars)?;
        &with_vars
    };
    let selected = crate::select::select(project, &options.select, &options.exclude)?;
    let state = State::open(lake, project).await?;
    let mut report = Report {
        outcome: Outcome::UpToDate,
        models: Vec::new(),
        tests: Vec::new(),
        stale: Vec::new(),
        elapsed: started.elapsed(),
    };
    if !options.full_refresh && state.is_up_to_date(project, &selected) {
        report.elapsed = started.elapsed();
        return Ok(report);
    }
    let partial = !options.select.is_empty() || !options.exclude.is_empty();
    let mut run = Run {
        project,
        options,
        state,
        selected,
        partial,
        failed: BTreeMap::new(),
        redefined: BTreeSet::new(),
        ran: BTreeSet::new(),
        report,
    };
    run.all().await?;
    run.finish(started).await
}

/// A run under way.
struct Run<'a> {
    project: &'a Project,
    options: &'a Options,
    state: State<'a>,
    selected: BTreeSet<String>,
    /// Whether something is left out, so that not all tests run.
    partial: bool,
    /// Models that were not built or failed a test, with the reason.
    failed: BTreeMap<String, String>,
    /// Models built as a whole because their definition changed, not only what they read.
    redefined: BTreeSet<String>,
    /// Models that were built.
    ran: BTreeSet<String>,
    report: Report,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        self.check_selection()?;
        let partial = !self.options.select.is_empty() || !self.options.exclude.is_empty();
        let steps =
            steps::plan(self.project, &self.selected, partial, |model| self.state.is_readable(self.project, model));
        self.tell(&Progress::Planned { steps: steps.len() });
        for (index, step) in steps.iter().enumerate() {
            self.tell(&Progress::Started { step: index, name: step.name.clone(), what: step.what() });
            let count = self.step(step).await?;
            self.tell(&Progress::Finished { step: index, count });
        }
        Ok(())
    }

    /// A selected model reads models that are selected too or were built before.
    fn check_selection(&self) -> Result<()> {
        for name in &self.selected {
            let reads = crate::graph::reachable(&self.project.models, name, true);
            let missing =
                |other: &&String| !self.selected.contains(*other) && !self.state.is_readable(self.project, other);
            if let Some(missing) = reads.iter().find(missing) {
                let detail = format!("it reads `{missing}`, which has never been built; select `+{name}`");
                return Err(Error::Select { selector: name.clone(), detail });
            }
        }
        Ok(())
    }

    fn tell(&self, progress: &Progress) {
        if let Some(progress_fn) = &self.options.progress {
            progress_fn(progress);
        }
    }

    async fn step(&mut self, step: &Step<'_>) -> Result<u64> {
        match &step.work {
            Work::UnitTests(tests) => {
                let model = &self.project.models[&step.name];
                if self.blocked(&step.name).is_some() {
                    return Ok(0);
                }
                let unchanged = self.state.is_same_project(self.project) && !self.options.full_refresh;
                let mut failures = 0;
                for test in tests {
                    if unchanged {
                        self.report.tests.push(unit_tests::report(test, TestResult::Unchanged));
                        continue;
                    }
                    let report = unit_tests::run(self.project, self.state.session(), test, model).await?;
                    if matches!(report.result, TestResult::Failed(_)) {
                        failures += 1;
                        self.failed.insert(step.name.clone(), format!("unit test {}", test.name));
                    }
                    self.report.tests.push(report);
                }
                Ok(failures)
            }
            Work::Build => self.build(&step.name).await,
            Work::DataTests(tests) => {
                let mut due = Vec::new();
                for &test in tests {
                    if test.models.iter().any(|model| self.failed.contains_key(model)) {
                        self.report.tests.push(data_tests::report(test, TestResult::Skipped));
                    } else if self.state.is_unchanged(self.project, test) && !self.options.full_refresh {
                        self.report.tests.push(data_tests::report(test, TestResult::Unchanged));
                    } else {
                        due.push(test);
                    }
                }
                let reports = data_tests::run(self.project, self.state.session(), &due).await?;
                let mut failures = 0;
                for (report, test) in reports.iter().zip(&due) {
                    if matches!(report.result, TestResult::Failed(_)) {
                        failures += 1;
                        if test.severity == Severity::Error {
                            for model in &test.models {
                                self.failed.entry(model.clone()).or_insert_with(|| format!("data test {}", test.name));
                            }
                        }
                    }
                }
                self.report.tests.extend(reports);
                Ok(failures)
            }
        }
    }

    /// Why a model can't be built: its own failure or that of something that it reads.
    fn blocked(&self, name: &str) -> Option<String> {
        if let Some(because) = self.failed.get(name) {
            return Some(because.clone());
        }
        let reads = crate::graph::reachable(&self.project.models, name, true);
        reads.iter().find_map(|model| self.failed.get(model).cloned())
    }

    async fn build(&mut self, name: &str) -> Result<u64> {
        let started = Instant::now();
        let model = &self.project.models[name];
        if let Some(because) = self.blocked(name) {
            self.failed.insert(name.to_owned(), because.clone());
            let relation = model.relation();
            let action = Action::Skipped { because };
            self.report.models.push(ModelReport {
                name: name.to_owned(),
                relation,
                action,
                written: 0,
                rows: 0,
                elapsed: started.elapsed(),
            });
            return Ok(0);
        }
        let upstream = crate::graph::reachable(&self.project.models, name, true);
        let inputs = model::Inputs {
            redefined: self.options.full_refresh || upstream.iter().any(|other| self.redefined.contains(other)),
            rebuilt: upstream.iter().any(|other| self.ran.contains(other)),
        };
        let built = model::build(self.project, &mut self.state, model, inputs).await?;
        if built.redefined {
            self.redefined.insert(name.to_owned());
        }
        if built.action != Action::Unchanged {
            self.ran.insert(name.to_owned());
        }
        let written = built.written;
        self.report.models.push(ModelReport {
            name: name.to_owned(),
            relation: model.relation(),
            action: built.action,
            written,
            rows: built.rows,
            elapsed: started.elapsed(),
        });
        Ok(written)
    }

    /// Publishes, unless a test or model failed.
    async fn finish(mut self, started: Instant) -> Result<Report> {
        let failed = self.report.failures().next().is_some();
        self.report.outcome = if failed {
            Outcome::NotPublished
        } else {
            self.report.stale = self.state.stale(self.project);
            Outcome::Published {
                build_id: self
                    .state
                    .publish(self.project, !self.partial, &self.report.tests, (self.options.clock)())
                    .await?,
            }
        };
        self.report.elapsed = started.elapsed();
        Ok(self.report)
    }
}
