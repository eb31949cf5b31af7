//! Unit tests: a model's SQL over given rows, in a session of its own, against expected rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use streamreel_lake::plan;

use super::sql::Origin;
use super::types::{table_schema, texts, typed};
use crate::Severity;
use crate::checks::{Given, UnitTest};
use crate::error::{Error, Result};
use crate::jinja::{Relation, Resolver};
use crate::project::{Model, Project};
use crate::report::{Failure, Sample, TestKind, TestReport, TestResult};

const SCHEMA: &str = "given";

/// Runs one unit test. `session` has the real relations: their columns are those of the given rows.
///
/// # Errors
/// [`Error::UnitTest`] when it is written wrongly, or the model's SQL does not run.
pub(super) async fn run(
    project: &Project,
    session: &SessionContext,
    test: &UnitTest,
    model: &Model,
) -> Result<TestReport> {
    let own = SessionContext::new_with_config(session.copied_config());
    execute(&own, &format!("create schema {SCHEMA}"), test).await?;
    let mut inputs = Inputs::default();
    for given in &test.given {
        let (relation, name) = inputs.add(project, given, test)?;
        let schema = columns(project, session, &relation, test, model).await?;
        let rows = typed(&given.rows, &schema).map_err(|detail| wrong_at(test, given, detail))?;
        register(&own, &name, rows, test)?;
    }
    let sql = compile(project, test, model, inputs)?;
    let origin = Origin { node: &test.name, at: &test.at };
    let frame = origin.plan(&own, &sql).await?;
    let schema = table_schema(frame.schema().as_arrow()).map_err(|detail| origin.refused(&sql, detail))?;
    let found = frame.collect().await.map_err(|error| origin.failed(&sql, &error))?;
    let result = compare(test, &schema, &found, sql)?;
    Ok(report(test, result))
}

pub(super) fn report(test: &UnitTest, result: TestResult) -> TestReport {
    TestReport {
        name: test.name.clone(),
        model: test.model.clone(),
        kind: TestKind::Unit,
        at: test.at.to_string(),
        severity: Severity::Error,
        result,
    }
}

fn wrong(test: &UnitTest, detail: impl Into<String>) -> Error {
    Error::UnitTest { test: test.name.clone(), at: test.at.clone(), detail: detail.into() }
}

fn wrong_at(test: &UnitTest, given: &Given, detail: String) -> Error {
    Error::UnitTest { test: test.name.clone(), at: given.at.clone(), detail: format!("{}: {detail}", given.input) }
}

async fn execute(session: &SessionContext, sql: &str, test: &UnitTest) -> Result<()> {
    plan::sql(session, sql).await.map(|_| ()).map_err(|error| wrong(test, error.to_string()))
}

fn register(session: &SessionContext, name: &str, rows: RecordBatch, test: &UnitTest) -> Result<()> {
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(|error| wrong(test, error.to_string()))?;
    let reference = datafusion::common::TableReference::partial(SCHEMA, name);
    session.register_table(reference, Arc::new(table)).map(|_| ()).map_err(|error| wrong(test, error.to_string()))
}

/// What a given input stands for.
enum Input {
    Model(String),
    Source(String, String),
    This,
}

/// Refs and sources of the model under test, as tables of given rows.
#[derive(Debug, Default)]
struct Inputs {
    models: BTreeMap<String, Relation>,
    sources: BTreeMap<(String, String), Relation>,
    has_this: bool,
}

impl Inputs {
    /// Notes a given input; gives what it stands for and the name of its table.
    fn add(&mut self, project: &Project, given: &Given, test: &UnitTest) -> Result<(Input, String)> {
        let text = given.input.trim();
        if text == "this" {
            self.has_this = true;
            return Ok((Input::This, "this".to_owned()));
        }
        let text = text.trim_start_matches("{{").trim_end_matches("}}");
        let (_, asked) = project.jinja.expression(&given.at, text, &project.scope())?;
        if let Some(model) = asked.refs.into_iter().next() {
            self.models.insert(model.clone(), Relation::stored(SCHEMA, &model));
            return Ok((Input::Model(model.clone()), model));
        }
        if let Some((source, table)) = asked.sources.into_iter().next() {
            let name = format!("{source}__{table}");
            self.sources.insert((source.clone(), table.clone()), Relation::stored(SCHEMA, &name));
            return Ok((Input::Source(source, table), name));
        }
        Err(wrong_at(test, given, "an input is ref('model'), source('source', 'table') or this".to_owned()))
    }
}

impl Resolver for Inputs {
    fn model(&self, name: &str) -> Result<Relation, String> {
        self.models
            .get(name)
            .cloned()
            .ok_or_else(|| format!("ref('{name}') has no given rows; add `input: ref('{name}')`"))
    }
    fn source(&self, source: &str, table: &str) -> Result<Relation, String> {
        let key = (source.to_owned(), table.to_owned());
        self.sources.get(&key).cloned().ok_or_else(|| format!("source('{source}', '{table}') has no given rows"))
    }
}

/// The columns of what an input stands for.
async fn columns(
    project: &Project,
    session: &SessionContext,
    input: &Input,
    test: &UnitTest,
    model: &Model,
) -> Result<SchemaRef> {
    let (body, refs) = match input {
        Input::This => (project.compile_model(model, None)?, Vec::new()),
        Input::Model(name) => {
            let relation = project.relations.model(name).map_err(|found| wrong(test, found))?;
            (format!("select * from {relation}"), vec![name.clone()])
        }
        Input::Source(source, table) => {
            let relation = project.relations.source(source, table).map_err(|found| wrong(test, found))?;
            (format!("select * from {relation}"), Vec::new())
        }
    };
    let sql = project.with_inlined(body, &refs.into_iter().collect())?;
    let frame = Origin { node: &test.name, at: &test.at }.plan(session, &sql).await?;
    Ok(Arc::new(frame.schema().as_arrow().clone()))
}

/// The model's SQL over the given tables, with the overrides of the test.
fn compile(project: &Project, test: &UnitTest, model: &Model, inputs: Inputs) -> Result<String> {
    let mut scope = project.model_scope(model, false);
    if inputs.has_this {
        scope.this = Some(Relation::stored(SCHEMA, "this"));
    }
    scope.macros = test.macros.iter().map(|(name, node)| (name.clone(), node.value())).collect();
    scope.env_vars = test.env_vars.iter().filter_map(|(name, node)| Some((name.clone(), node.text()?))).collect();
    let mut vars = (*scope.vars).clone();
    vars.extend(test.vars.iter().map(|(name, node)| (name.clone(), node.value())));
    scope.vars = Arc::new(vars);
    scope.resolver = Arc::new(inputs);
    let (sql, _) = project.jinja.render(&model.file, &model.sql, &scope)?;
    Ok(sql.trim().to_owned())
}

/// Compares as bags of rows in the columns that the expected rows name.
fn compare(test: &UnitTest, schema: &SchemaRef, found: &[RecordBatch], sql: String) -> Result<TestResult> {
    let fail = |error: datafusion::arrow::error::ArrowError| wrong(test, format!("expect: {error}"));
    let mut indices = Vec::new();
    for name in &test.expect.columns {
        let known = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let index = schema
            .index_of(name)
            .map_err(|_| wrong(test, format!("expect: there is no column `{name}` among {}", known())))?;
        indices.push(index);
    }
    if indices.is_empty() {
        indices = (0..schema.fields().len()).collect();
    }
    let projected: SchemaRef = Arc::new(schema.project(&indices).map_err(fail)?);
    let expected = typed(&test.expect, &projected).map_err(|detail| wrong(test, format!("expect: {detail}")))?;
    let mut actual = Vec::new();
    for batch in found {
        let fitted = super::types::fit(batch, schema).map_err(fail)?;
        actual.push(fitted.project(&indices).map_err(fail)?);
    }
    let (expected, actual) = (texts(&[expected]).map_err(fail)?, texts(&actual).map_err(fail)?);
    let difference = difference(expected.rows, actual.rows);
    if difference.is_empty() {
        return Ok(TestResult::Passed);
    }
    let mut columns = vec!["row".to_owned()];
    columns.extend(projected_names(&projected));
    let count = difference.len() as u64;
    let rows = difference.into_iter().take(5).collect();
    Ok(TestResult::Failed(Failure { count, sql, sample: Sample { columns, rows } }))
}

fn projected_names(schema: &Schema) -> impl Iterator<Item = String> + '_ {
    schema.fields().iter().map(|field| field.name().clone())
}

type Row = Vec<Option<String>>;

/// Rows of one side that the other lacks, with a word in front that says which.
fn difference(expected: Vec<Row>, actual: Vec<Row>) -> Vec<Row> {
    let mut balance: BTreeMap<Row, i64> = BTreeMap::new();
    for row in expected {
        *balance.entry(row).or_default() += 1;
    }
    for row in actual {
        *balance.entry(row).or_default() -= 1;
    }
    let mut rows = Vec::new();
    for (row, surplus) in balance {
        let word = if surplus > 0 { "missing" } else { "unexpected" };
        for _ in 0..surplus.abs() {
            let mut marked = vec![Some(word.to_owned())];
            marked.extend(row.iter().cloned());
            rows.push(marked);
        }
    }
    rows
}
