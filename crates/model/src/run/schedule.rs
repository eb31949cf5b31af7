//! Runs the steps of a run, those that don't need each other at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::state::State;
use super::steps::{self, Step, Work};
use super::{Options, data_tests, model, unit_tests};
use crate::checks::{DataTest, UnitTest};
use crate::error::Result;
use crate::project::Project;
use crate::report::{Action, ModelReport, Progress, TestReport, TestResult};
use crate::{Materialized, Severity};

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) project: &'a Project,
    pub(super) options: &'a Options,
    pub(super) state: State<'a>,
    pub(super) selected: BTreeSet<String>,
    /// Whether something is left out, so that not all tests run.
    pub(super) partial: bool,
}

/// What steps have left for those after them.
#[derive(Default)]
struct Marks {
    /// Models that were not built or failed a test, with the reason.
    failed: BTreeMap<String, String>,
    /// Models built as a whole because their definition changed, not only what they read.
    redefined: BTreeSet<String>,
    /// Models that were built.
    ran: BTreeSet<String>,
    /// Of the models that were not built as a whole, the dates that changed.
    dates: BTreeMap<String, Vec<String>>,
    /// The dates of silver that changed; `None`: not known.
    silver_dates: Option<Vec<String>>,
}

/// What a step is to do, decided when everything that it needs is done.
enum Job<'a> {
    UnitTests(Vec<&'a UnitTest>),
    Build(model::Inputs),
    Skip { because: String },
    DataTests(Vec<(&'a DataTest, Status)>),
}

/// What is known about a data test before it runs.
enum Status {
    /// Its result.
    Known(TestResult),
    /// It has to run; rows of other dates than these have passed it before.
    Due(Option<Vec<String>>),
}

/// What a step did.
#[derive(Default)]
struct Done {
    model: Option<ModelReport>,
    dates: Option<Vec<String>>,
    tests: Vec<TestReport>,
    redefined: bool,
    count: u64,
}

impl Run<'_> {
    /// Runs all steps; gives what became of models and tests, in the order of the steps.
    pub(super) async fn all(&self) -> Result<(Vec<ModelReport>, Vec<TestReport>)> {
        let steps = steps::plan(self.project, &self.selected, self.partial);
        self.tell(&Progress::Planned { steps: steps.len() });
        let mut marks = Marks { silver_dates: self.state.changed_dates().await?, ..Marks::default() };
        let mut waiting: BTreeSet<usize> = (0..steps.len()).collect();
        let mut done: BTreeMap<usize, Done> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        while done.len() < steps.len() {
            while running.len() < self.state.width() {
                let ready = |at: &&usize| steps[**at].after.iter().all(|before| done.contains_key(before));
                let Some(at) = waiting.iter().find(ready).copied() else { break };
                waiting.remove(&at);
                let step = &steps[at];
                self.tell(&Progress::Started { step: at, name: step.name.clone(), what: step.what() });
                let job = self.job(step, &marks);
                running.push(async move { (at, self.work(step, job).await) }.boxed());
            }
            let Some((at, outcome)) = running.next().await else { break };
            let outcome = outcome?;
            marks.note(&steps[at], &outcome);
            self.tell(&Progress::Finished { step: at, count: outcome.count });
            done.insert(at, outcome);
        }
        let (mut models, mut tests) = (Vec::new(), Vec::new());
        for outcome in done.into_values() {
            models.extend(outcome.model);
            tests.extend(outcome.tests);
        }
        Ok((models, tests))
    }

    fn tell(&self, progress: &Progress) {
        if let Some(progress_fn) = &self.options.progress {
            progress_fn(progress);
        }
    }

    fn job<'a>(&self, step: &Step<'a>, marks: &Marks) -> Job<'a> {
        match &step.work {
            Work::UnitTests(_) if self.blocked(&step.name, marks).is_some() => Job::UnitTests(Vec::new()),
            Work::UnitTests(tests) => Job::UnitTests(tests.clone()),
            Work::Build => match self.blocked(&step.name, marks) {
                Some(because) => Job::Skip { because },
                None => {
                    let upstream = crate::graph::reachable(&self.project.models, &step.name, true);
                    let redefined = upstream.iter().any(|other| marks.redefined.contains(other));
                    Job::Build(model::Inputs {
                        redefined: self.options.full_refresh || redefined,
                        rebuilt: upstream.iter().any(|other| marks.ran.contains(other)),
                    })
                }
            },
            Work::DataTests(tests) => {
                Job::DataTests(tests.iter().map(|test| (*test, self.status(test, marks))).collect())
            }
        }
    }

    /// Why a model can't be built: its own failure or that of something that it reads.
    fn blocked(&self, name: &str, marks: &Marks) -> Option<String> {
        if let Some(because) = marks.failed.get(name) {
            return Some(because.clone());
        }
        let reads = crate::graph::reachable(&self.project.models, name, true);
        reads.iter().find_map(|model| marks.failed.get(model).cloned())
    }

    fn status(&self, test: &DataTest, marks: &Marks) -> Status {
        if test.models.iter().any(|model| marks.failed.contains_key(model)) {
            return Status::Known(TestResult::Skipped);
        }
        if !self.options.full_refresh && self.state.is_unchanged(self.project, test) {
            return Status::Known(TestResult::Unchanged);
        }
        // Rows of other dates are the published ones. They have passed if the project had this test; a warning is given again.
        let passed =
            test.severity == Severity::Error && self.state.is_same_project(self.project) && !self.options.full_refresh;
        Status::Due(if passed { self.changed_dates(test, marks) } else { None })
    }

    /// The dates of which any model that a test reads has other rows than in the published build; `None`: not known.
    fn changed_dates(&self, test: &DataTest, marks: &Marks) -> Option<Vec<String>> {
        let mut all = BTreeSet::new();
        for name in &test.models {
            let model = self.project.models.get(name)?;
            match model.config.materialized {
                Materialized::Ephemeral if model.refs.is_empty() => all.extend(marks.silver_dates.clone()?),
                Materialized::Ephemeral => return None,
                _ if marks.ran.contains(name) => all.extend(marks.dates.get(name).cloned()?),
                _ => {}
            }
        }
        (!all.is_empty()).then(|| all.into_iter().collect())
    }

    async fn work(&self, step: &Step<'_>, job: Job<'_>) -> Result<Done> {
        match job {
            Job::UnitTests(tests) => self.unit_tests(&step.name, &tests).await,
            Job::Build(inputs) => self.build(&step.name, inputs).await,
            Job::Skip { because } => Ok(Done {
                model: Some(self.model_report(&step.name, Action::Skipped { because }, Instant::now())),
                ..Done::default()
            }),
            Job::DataTests(tests) => self.data_tests(tests).await,
        }
    }

    async fn unit_tests(&self, name: &str, tests: &[&UnitTest]) -> Result<Done> {
        let unchanged = self.state.is_same_project(self.project) && !self.options.full_refresh;
        let mut done = Done::default();
        for test in tests {
            let report = match unchanged {
                true => unit_tests::report(test, TestResult::Unchanged),
                false => unit_tests::run(self.project, self.state.session(), test, &self.project.models[name]).await?,
            };
            done.count += u64::from(matches!(report.result, TestResult::Failed(_)));
            done.tests.push(report);
        }
        Ok(done)
    }

    async fn build(&self, name: &str, inputs: model::Inputs) -> Result<Done> {
        let started = Instant::now();
        let built = model::build(self.project, &self.state, &self.project.models[name], inputs).await?;
        let mut report = self.model_report(name, built.action, started);
        (report.written, report.rows) = (built.written, built.rows);
        let (count, redefined, dates) = (built.written, built.redefined, built.dates);
        Ok(Done { count, redefined, dates, model: Some(report), tests: Vec::new() })
    }

    fn model_report(&self, name: &str, action: Action, started: Instant) -> ModelReport {
        let relation = self.project.models[name].relation();
        ModelReport { name: name.to_owned(), relation, action, written: 0, rows: 0, elapsed: started.elapsed() }
    }

    async fn data_tests(&self, tests: Vec<(&DataTest, Status)>) -> Result<Done> {
        let due = tests.iter().filter_map(|(test, status)| match status {
            Status::Due(dates) => Some(data_tests::Due { test, dates: dates.as_deref() }),
            Status::Known(_) => None,
        });
        let due: Vec<_> = due.collect();
        let mut found = data_tests::run(self.project, &self.state, &due, self.options.full_refresh).await?.into_iter();
        let mut done = Done::default();
        for (test, status) in tests {
            let report = match status {
                Status::Known(result) => data_tests::report(test, result),
                Status::Due(_) => found.next().expect("one report a due test"),
            };
            done.count += u64::from(matches!(report.result, TestResult::Failed(_)));
            done.tests.push(report);
        }
        Ok(done)
    }
}

impl Marks {
    fn note(&mut self, step: &Step<'_>, done: &Done) {
        let failed = |report: &&TestReport| matches!(report.result, TestResult::Failed(_));
        match &step.work {
            Work::UnitTests(_) => {
                if let Some(report) = done.tests.iter().find(failed) {
                    self.failed.insert(step.name.clone(), format!("unit test {}", report.name));
                }
            }
            Work::DataTests(tests) => {
                let pairs = tests.iter().zip(&done.tests);
                for (test, _) in pairs.filter(|(test, report)| test.severity == Severity::Error && failed(report)) {
                    for model in &test.models {
                        self.failed.entry(model.clone()).or_insert_with(|| format!("data test {}", test.name));
                    }
                }
            }
            Work::Build => match done.model.as_ref().map(|report| &report.action) {
                Some(Action::Skipped { because }) => {
                    self.failed.insert(step.name.clone(), because.clone());
                }
                Some(Action::Full | Action::Incremental { .. }) => {
                    self.ran.insert(step.name.clone());
                    self.dates.extend(done.dates.clone().map(|dates| (step.name.clone(), dates)));
                    if done.redefined {
                        self.redefined.insert(step.name.clone());
                    }
                }
                Some(Action::Unchanged) | None => {}
            },
        }
    }
}
