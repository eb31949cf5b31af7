//! What a run did, for people and as JSON.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Severity;

/// What became of the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Silver and the project are as they were at the published build: nothing was done.
    UpToDate,
    /// All tests passed, and readers see this build from now on.
    Published {
        /// Its id in `gold.builds`.
        build_id: String,
    },
    /// A test failed: readers go on seeing the build before.
    NotPublished,
}

/// Everything that a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What became of it.
    pub outcome: Outcome,
    /// Gold models in the order of building.
    pub models: Vec<ModelReport>,
    /// Unit tests and data tests in the order in which they ran.
    pub tests: Vec<TestReport>,
    /// Gold tables that were not selected and were built all the same: they would have been older than what they are
    /// made from, or missing.
    pub also_built: Vec<String>,
    /// Wall time.
    pub elapsed: Duration,
}

impl Report {
    /// Tests that failed with severity error.
    pub fn failures(&self) -> impl Iterator<Item = &TestReport> {
        self.tests
            .iter()
            .filter(|test| test.severity == Severity::Error && matches!(test.result, TestResult::Failed(_)))
    }

    /// Tests that failed with severity warn.
    pub fn warnings(&self) -> impl Iterator<Item = &TestReport> {
        self.tests.iter().filter(|test| test.severity == Severity::Warn && matches!(test.result, TestResult::Failed(_)))
    }
}

/// What was done for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Derived as a whole.
    Full,
    /// So many groups were derived again.
    Incremental {
        /// Groups that had changed.
        groups: usize,
    },
    /// Nothing that it reads has changed.
    Unchanged,
    /// Not built.
    Skipped {
        /// The test or model that kept it from being built.
        because: String,
    },
}

/// A gold model's part of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// The model.
    pub name: String,
    /// `gold.table`.
    pub relation: String,
    /// What was done.
    pub action: Action,
    /// Rows written.
    pub written: u64,
    /// Rows that the table has now.
    pub rows: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// What kind of test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// Given rows, expected rows.
    Unit,
    /// A query for rows that should not be.
    Data,
}

/// A test's part of a run.
#[derive(Debug, Clone, Serialize)]
pub struct TestReport {
    /// Its name, as dbt has it.
    pub name: String,
    /// The model that it is about; of a test of a source, the source's table.
    pub model: String,
    /// What kind.
    pub kind: TestKind,
    /// `file:line`.
    pub at: String,
    /// What a failure means.
    pub severity: Severity,
    /// How it went.
    pub result: TestResult,
}

impl TestReport {
    /// What the row of a build keeps of it.
    pub(crate) fn record(&self) -> TestRecord<'_> {
        let (result, failures) = match &self.result {
            TestResult::Passed => ("passed", 0),
            TestResult::Unchanged => ("unchanged", 0),
            TestResult::Skipped => ("skipped", 0),
            TestResult::Failed(failure) => ("failed", failure.count),
        };
        let Self { name, model, kind, severity, .. } = self;
        TestRecord { name, model, kind: *kind, severity: *severity, result, failures }
    }
}

/// A test's result in the row of `gold.builds`, under `counts.tests`.
#[derive(Debug, Serialize)]
pub(crate) struct TestRecord<'a> {
    name: &'a str,
    model: &'a str,
    kind: TestKind,
    severity: Severity,
    /// `passed`, `unchanged`, `skipped` or `failed`.
    result: &'static str,
    /// Failing rows.
    failures: u64,
}

/// How a test went.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TestResult {
    /// As it should be.
    Passed,
    /// Everything that it reads is as it was when it last passed.
    Unchanged,
    /// A model that it reads was not built.
    Skipped,
    /// Not as it should be.
    Failed(Failure),
}

/// Why a test failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// Failing rows; of a unit test, rows that differ.
    pub count: u64,
    /// The SQL.
    pub sql: String,
    /// Up to five of the rows.
    pub sample: Sample,
}

/// A few rows as text; null is `None`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values by row.
    pub rows: Vec<Vec<Option<String>>>,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        let width = |index: usize| {
            let values = self.rows.iter().filter_map(|row| row.get(index)).map(|value| text(value).chars().count());
            values.chain(self.columns.get(index).map(|name| name.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut line = |values: Vec<String>| {
            let cells: Vec<String> =
                values.iter().zip(&widths).map(|(value, width)| format!("{value:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())
        };
        line(self.columns.clone())?;
        self.rows.iter().try_for_each(|row| line(row.iter().map(text).collect()))
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match (&self.result, self.severity) {
            (TestResult::Passed, _) => "pass",
            (TestResult::Unchanged, _) => "unchanged",
            (TestResult::Skipped, _) => "skipped",
            (TestResult::Failed(_), Severity::Error) => "FAIL",
            (TestResult::Failed(_), Severity::Warn) => "warn",
        };
        write!(f, "{word} {} ({})", self.name, self.at)?;
        if let TestResult::Failed(failure) = &self.result {
            writeln!(f, ": {} rows\n{}", failure.count, failure.sample)?;
            write!(f, "{}", failure.sql)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&TestResult) -> bool| self.tests.iter().filter(|test| wanted(&test.result)).count();
        let passed = count(|result| matches!(result, TestResult::Passed));
        let seconds = self.elapsed.as_secs_f64();
        match &self.outcome {
            Outcome::UpToDate => return writeln!(f, "gold    up to date"),
            Outcome::Published { build_id } => write!(f, "gold    published as {build_id}: {passed} tests passed")?,
            Outcome::NotPublished => {
                let failed = self.failures().count();
                write!(
                    f,
                    "gold    not published, readers go on seeing the build before: {failed} tests failed, {passed} passed"
                )?;
            }
        }
        let warned = self.warnings().count();
        let (unchanged, skipped) = (
            count(|result| matches!(result, TestResult::Unchanged)),
            count(|result| matches!(result, TestResult::Skipped)),
        );
        for (number, word) in [(warned, "warned"), (unchanged, "as before"), (skipped, "skipped")] {
            if number > 0 {
                write!(f, ", {number} {word}")?;
            }
        }
        writeln!(f, ", {seconds:.1} s")?;
        let width = self.models.iter().map(|model| model.relation.len()).max().unwrap_or(0);
        for model in &self.models {
            writeln!(f, "  {:width$}  {}", model.relation, model.what())?;
        }
        if !self.also_built.is_empty() {
            writeln!(f, "  also built, as they were behind: {}", self.also_built.join(", "))?;
        }
        self.warnings().chain(self.failures()).try_for_each(|test| writeln!(f, "\n{test}"))
    }
}

impl ModelReport {
    fn what(&self) -> String {
        let rows = format!("{} rows", self.rows);
        match &self.action {
            Action::Full => format!("whole, {rows}"),
            Action::Incremental { groups } => format!("{groups} groups, {} rows written, {rows}", self.written),
            Action::Unchanged => format!("unchanged, {rows}"),
            Action::Skipped { because } => format!("skipped because of {because}"),
        }
    }
}

/// What a run tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// So many steps (models and groups of tests) are to come.
    Planned {
        /// Steps.
        steps: usize,
    },
    /// A step begins.
    Started {
        /// Step from 0.
        step: usize,
        /// The model; of data tests, the model that they are about.
        name: String,
        /// `unit tests`, `build` or `data tests`.
        what: &'static str,
    },
    /// A step is done.
    Finished {
        /// Step from 0.
        step: usize,
        /// Rows written, or tests that failed.
        count: u64,
    },
}
