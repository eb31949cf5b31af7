//! Data tests: those that look at one row at a time share a scan of their relation.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::prelude::SessionContext;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::sql::Origin;
use super::state::State;
use super::unseen::Unseen;
use crate::Severity;
use crate::checks::{DataTest, TestKind};
use crate::error::Result;
use crate::project::Project;
use crate::report::{Failure, TestKind as ReportKind, TestReport, TestResult};
use crate::yaml::{Kind, Node};

/// A test that has to run.
#[derive(Clone, Copy)]
pub(super) struct Due<'a> {
    pub(super) test: &'a DataTest,
    /// Rows of other dates have passed it before; `None`: none has.
    pub(super) dates: Option<&'a [String]>,
}

/// Runs tests, several at a time, and reports on each, in the order given.
///
/// # Errors
/// A test whose SQL is not valid or could not run.
pub(super) async fn run(
    project: &Project,
    state: &State<'_>,
    tests: &[Due<'_>],
    full_refresh: bool,
) -> Result<Vec<TestReport>> {
    let session = state.session();
    let unseen = if full_refresh { None } else { state.unseen(project) };
    let mut shared: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (index, due) in tests.iter().enumerate() {
        if let Some((relation, condition)) = row_condition(project, due.test)? {
            shared.entry(relation).or_default().push((index, condition));
        }
    }
    let mut scans = Vec::new();
    for (relation, members) in &shared {
        // What several tables make up may change in rows that are old in one of them.
        let is_one_table = members.iter().all(|(index, _)| state.tables_of(project, tests[*index].test).len() == 1);
        let unseen = unseen.as_ref().filter(|_| is_one_table);
        scans.push(scan(project, session, tests, relation, members, unseen).boxed());
    }
    let scanned: Vec<Vec<u64>> = stream::iter(scans).buffered(state.width()).try_collect().await?;
    let indices = shared.values().flatten().map(|(index, _)| *index);
    let counted: BTreeMap<usize, u64> = indices.zip(scanned.into_iter().flatten()).collect();
    let mut each = Vec::with_capacity(tests.len());
    for (index, due) in tests.iter().enumerate() {
        each.push(one(project, session, *due, counted.get(&index).copied()).boxed());
    }
    stream::iter(each).buffered(state.width()).try_collect().await
}

async fn scan(
    project: &Project,
    session: &SessionContext,
    tests: &[Due<'_>],
    relation: &str,
    members: &[(usize, String)],
    unseen: Option<&Unseen>,
) -> Result<Vec<u64>> {
    let columns: Vec<String> = members
        .iter()
        .enumerate()
        .map(|(at, (_, condition))| format!("count(*) filter (where {condition}) as c{at}"))
        .collect();
    let refs: BTreeSet<String> =
        members.iter().flat_map(|(index, _)| tests[*index].test.models.iter().cloned()).collect();
    let names: Vec<&str> = members.iter().map(|(index, _)| tests[*index].test.name.as_str()).collect();
    let node = names.join(", ");
    let at = members.first().map(|(index, _)| tests[*index].test.at.clone()).unwrap_or_default();
    let origin = Origin { node: &node, at: &at };
    // Rows that an earlier build has tested have passed. A warning is given again.
    let all_errors = members.iter().all(|(index, _)| tests[*index].test.severity == Severity::Error);
    let mut rows = relation.to_owned();
    if let Some(unseen) = unseen.filter(|_| all_errors) {
        let one = project.with_inlined(format!("select * from {relation}"), &refs)?;
        if let Some(condition) = unseen.condition(origin.plan(session, &one).await?.schema()) {
            rows = format!("{relation} where {condition}");
        }
    }
    let sql = project.with_inlined(format!("select {} from {rows}", columns.join(", ")), &refs)?;
    origin.counts(session, &sql).await
}

async fn one(project: &Project, session: &SessionContext, due: Due<'_>, counted: Option<u64>) -> Result<TestReport> {
    let Due { test, dates } = due;
    let origin = Origin { node: &test.name, at: &test.at };
    let mut sql = None;
    // The scan shows that there is none; how many there are is counted as dbt counts them.
    let count = match counted {
        Some(0) => 0,
        _ => {
            let compiled = project.compile_test(test, dates)?;
            let counting = format!("select count(*) as failures from (\n{compiled}\n) as failing");
            let count = origin.count(session, &counting).await?;
            sql = Some(compiled);
            count
        }
    };
    let result = if count == 0 {
        TestResult::Passed
    } else {
        let sql = sql.map_or_else(|| project.compile_test(test, dates), Ok)?;
        TestResult::Failed(Failure { count, sample: origin.sample(session, &sql).await?, sql })
    };
    Ok(report(test, result))
}

pub(super) fn report(test: &DataTest, result: TestResult) -> TestReport {
    TestReport {
        name: test.name.clone(),
        model: test.about(),
        kind: ReportKind::Data,
        at: test.at.to_string(),
        severity: test.severity,
        result,
    }
}

/// For dbt's own `not_null` and `accepted_values`: the relation and the condition of a failing row.
fn row_condition(project: &Project, test: &DataTest) -> Result<Option<(String, String)>> {
    let TestKind::Generic { test: name, target, column: Some(column), arguments } = &test.kind else { return Ok(None) };
    if !project.jinja.is_builtin(&format!("test_{name}")) {
        return Ok(None);
    }
    let condition = match (name.as_str(), arguments.as_slice()) {
        ("not_null", []) => format!("{column} is null"),
        ("accepted_values", [(key, values)]) if key == "values" => match literals(values) {
            Some(list) => format!("{column} not in ({list})"),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some((project.tested_relation(test, target)?, condition)))
}

fn literals(values: &Node) -> Option<String> {
    let Kind::List(items) = &values.kind else { return None };
    let quoted: Vec<String> = items
        .iter()
        .map(|item| match &item.kind {
            Kind::Text(text) if text.contains("{{") => None,
            _ => Some(format!("'{}'", item.text()?.replace('\'', "''"))),
        })
        .collect::<Option<_>>()?;
    (!quoted.is_empty()).then(|| quoted.join(", "))
}
