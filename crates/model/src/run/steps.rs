//! The steps of a run, as `dbt build` orders them: a model's unit tests, the model, then the data tests for which
//! everything is there. A model waits for what it reads and for the tests of that.

use std::collections::{BTreeMap, BTreeSet};

use crate::Materialized;
use crate::checks::{DataTest, UnitTest};
use crate::project::Project;

/// A step.
pub(super) struct Step<'a> {
    /// The model it is about; `sources` for data tests of sources.
    pub(super) name: String,
    pub(super) work: Work<'a>,
    /// The steps, all before this one, that are to be done first.
    pub(super) after: Vec<usize>,
}

/// What a step does.
pub(super) enum Work<'a> {
    UnitTests(Vec<&'a UnitTest>),
    Build,
    DataTests(Vec<&'a DataTest>),
}

impl Step<'_> {
    pub(super) fn what(&self) -> &'static str {
        match self.work {
            Work::UnitTests(_) => "unit tests",
            Work::Build => "build",
            Work::DataTests(_) => "data tests",
        }
    }
}

/// All steps. With a partial selection, a data test runs if it is about a selected model; the others that it reads are
/// published. Tests of sources do not.
pub(super) fn plan<'a>(project: &'a Project, selected: &BTreeSet<String>, partial: bool) -> Vec<Step<'a>> {
    let position: BTreeMap<&str, usize> =
        project.order.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut due: BTreeMap<usize, Vec<&DataTest>> = BTreeMap::new();
    let mut of_sources = Vec::new();
    for test in &project.tests {
        let about_selected = test.models.iter().any(|model| selected.contains(model));
        match test.models.iter().filter_map(|model| position.get(model.as_str())).max() {
            None if !partial => of_sources.push(test),
            Some(at) if about_selected => due.entry(*at).or_default().push(test),
            _ => {}
        }
    }
    let mut steps: Vec<Step<'a>> = Vec::new();
    if !of_sources.is_empty() {
        steps.push(Step { name: "sources".to_owned(), work: Work::DataTests(of_sources), after: Vec::new() });
    }
    for (at, name) in project.order.iter().enumerate() {
        if selected.contains(name) {
            let reads = crate::graph::reachable(&project.models, name, true);
            let after: Vec<usize> = (0..steps.len()).filter(|&step| reads.contains(&steps[step].name)).collect();
            let tests: Vec<&UnitTest> = project.unit_tests.iter().filter(|test| test.model == *name).collect();
            if !tests.is_empty() {
                steps.push(Step { name: name.clone(), work: Work::UnitTests(tests), after: after.clone() });
            }
            if project.models[name].config.materialized != Materialized::Ephemeral {
                let own = steps.len() - usize::from(steps.last().is_some_and(|step| step.name == *name));
                let after = after.into_iter().chain(own..steps.len()).collect();
                steps.push(Step { name: name.clone(), work: Work::Build, after });
            }
        }
        if let Some(tests) = due.remove(&at) {
            let about = |step: &Step<'_>| {
                matches!(step.work, Work::Build) && tests.iter().any(|test| reads_model(project, test, &step.name))
            };
            let after = (0..steps.len()).filter(|&step| about(&steps[step])).collect();
            steps.push(Step { name: name.clone(), work: Work::DataTests(tests), after });
        }
    }
    steps
}

/// Whether a data test reads a model, itself or through an ephemeral one.
fn reads_model(project: &Project, test: &DataTest, name: &str) -> bool {
    test.models
        .iter()
        .any(|model| model == name || crate::graph::reachable(&project.models, model, true).contains(name))
}
