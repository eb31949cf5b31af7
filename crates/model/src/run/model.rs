//! Building one gold model: what is to be done, its rows, one commit.

use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::error::DataFusionError;
use futures::StreamExt;
use streamreel_lake::{CommitNote, Delete, TableId, TableSpec};

use super::changes::{self, Groups};
use super::sql::Origin;
use super::state::{Record, State};
use super::types::{fit, table_schema};
use crate::Materialized;
use crate::error::{Error, Place, Result};
use crate::jinja::Relation;
use crate::project::{Model, Project};
use crate::report::Action;

/// What happened upstream in this run.
pub(super) struct Inputs {
    /// Everything is to be derived again.
    pub(super) redefined: bool,
    /// Something that it reads was built.
    pub(super) rebuilt: bool,
}

/// What was done.
pub(super) struct Built {
    pub(super) action: Action,
    /// All days of which rows were derived again; `None`: not known by day.
    pub(super) dates: Option<Vec<String>>,
    pub(super) redefined: bool,
    pub(super) written: u64,
    pub(super) rows: u64,
}

/// The gold table of a stored model.
pub(super) fn table_of(model: &Model) -> Result<TableId> {
    match &model.relation {
        Relation::Stored { schema, name } if schema == "gold" => Ok(TableId::gold(name)),
        other => Err(Error::unsupported(
            &Place::new(&model.file, 0),
            format!("model `{}` would be stored as {other}", model.name),
            "a schema of gold",
        )),
    }
}

/// What is to be done for a model.
enum Decision {
    Unchanged,
    Full { redefined: bool },
    Groups(Arc<Groups>),
}

/// Builds a model. Its table stands at a new version then, which nobody reads before it is published.
pub(super) async fn build(project: &Project, state: &State<'_>, model: &Model, inputs: Inputs) -> Result<Built> {
    let id = table_of(model)?;
    let full_sql = project.compile_model(model, None)?;
    let hash = definition(project, model, &full_sql)?;
    let decision = decide(state, model, &id, &hash, &inputs).await?;
    let mut built = match decision {
        Decision::Unchanged => {
            Built { action: Action::Unchanged, dates: None, redefined: false, written: 0, rows: state.rows(&id).await? }
        }
        Decision::Full { redefined } => full(state, model, &id, &full_sql, redefined).await?,
        Decision::Groups(groups) => {
            let sql = project.compile_model(model, Some(&groups.dates))?;
            match incremental(state, model, &id, &sql, &groups).await? {
                Some(built) => built,
                // Its columns are no longer those of the table.
                None => full(state, model, &id, &full_sql, true).await?,
            }
        }
    };
    if built.action != Action::Unchanged {
        built.rows = state.rows(&id).await?;
    }
    state.record(&id, Record { definition: hash, silver_build: state.silver_build().to_owned(), rows: built.rows });
    Ok(built)
}

/// A number for what a model's SQL and layout say, whatever the data.
pub(super) fn definition(project: &Project, model: &Model, full_sql: &str) -> Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(full_sql.as_bytes());
    if model.config.materialized == Materialized::Incremental {
        hash.update(project.compile_model(model, Some(&[]))?.as_bytes());
    }
    hash.update(
        format!("{:?} {:?} {:?}", model.config.materialized, model.config.changed_by, model.config.partition_by)
            .as_bytes(),
    );
    Ok(format!("{:032x}", hash.digest128()))
}

async fn decide(state: &State<'_>, model: &Model, id: &TableId, hash: &str, inputs: &Inputs) -> Result<Decision> {
    let Some(record) = state.published_record(id) else { return Ok(Decision::Full { redefined: true }) };
    if inputs.redefined || record.definition != hash {
        return Ok(Decision::Full { redefined: true });
    }
    if record.silver_build == state.silver_build() && !inputs.rebuilt {
        return Ok(Decision::Unchanged);
    }
    if model.config.materialized == Materialized::Table {
        return Ok(Decision::Full { redefined: false });
    }
    match state.changed_since(&record.silver_build).await? {
        None => Ok(Decision::Full { redefined: true }),
        Some(groups) if groups.is_empty() => Ok(Decision::Unchanged),
        Some(groups) => {
            let known = groups.columns();
            if let Some(column) = model.config.changed_by.iter().find(|column| !known.contains(column)) {
                let found = format!("{}: changed_by has `{column}`", model.name);
                return Err(Error::unsupported(&Place::new(&model.file, 0), found, known.join(", ")));
            }
            Ok(Decision::Groups(groups))
        }
    }
}

/// Rows of a day are replaced together, so that a model by day is partitioned by day unless configured otherwise.
fn partitions(model: &Model, spec: &TableSpec) -> Vec<String> {
    if !model.config.partition_by.is_empty() {
        return model.config.partition_by.clone();
    }
    let by_day = model.config.changed_by.iter().any(|column| column == "view_date");
    if by_day && spec.schema.index_of("view_date").is_ok() { vec!["view_date".to_owned()] } else { Vec::new() }
}

async fn full(state: &State<'_>, model: &Model, id: &TableId, sql: &str, redefined: bool) -> Result<Built> {
    let at = Place::new(&model.file, 0);
    let origin = Origin { node: &model.name, at: &at };
    let frame = origin.plan(state.session(), sql).await?;
    let schema = table_schema(frame.schema().as_arrow()).map_err(|detail| origin.refused(sql, detail))?;
    let spec = TableSpec::new(id.clone(), schema.clone());
    let spec = TableSpec { partition_by: partitions(model, &spec), ..spec };
    let mut table = state.open_or_create(&spec).await?;
    let writer = table.writer_for(&spec);
    let written = write(&origin, sql, frame, writer, &schema).await?;
    let rows = written.rows;
    state.commit(&mut table, Delete::All, written, CommitNote::new("build")).await?;
    Ok(Built { action: Action::Full, dates: None, redefined, written: rows, rows })
}

/// Replaces the changed groups; `None` when the table's columns are others than the query's.
async fn incremental(
    state: &State<'_>,
    model: &Model,
    id: &TableId,
    sql: &str,
    groups: &Groups,
) -> Result<Option<Built>> {
    let at = Place::new(&model.file, 0);
    let origin = Origin { node: &model.name, at: &at };
    let keys = groups.keys(state.session(), &model.config.changed_by).await?;
    let planning = state.planning().await;
    changes::register(state.session(), keys.clone())?;
    let frame = origin.plan(state.session(), sql).await?;
    drop(planning);
    let schema = table_schema(frame.schema().as_arrow()).map_err(|detail| origin.refused(sql, detail))?;
    let Some(mut table) = state.table(id).await? else { return Ok(None) };
    let same = |(a, b): (&arrow_schema::FieldRef, &arrow_schema::FieldRef)| {
        a.name() == b.name() && a.data_type() == b.data_type()
    };
    let has = table.schema();
    if has.fields().len() != schema.fields().len() || !has.fields().iter().zip(schema.fields()).all(same) {
        return Ok(None);
    }
    for column in &model.config.changed_by {
        if schema.index_of(column).is_err() {
            return Err(origin.refused(sql, format!("changed_by has `{column}`, which the model does not select")));
        }
    }
    let by_day = model.config.changed_by.iter().any(|column| column == "view_date");
    let has_partitions = table.partition_by().first().is_some_and(|column| column == "view_date");
    let count = keys.num_rows();
    let written = write(&origin, sql, frame, table.writer(), &schema).await?;
    let rows = written.rows;
    let delete =
        Delete::Keys { keys, partitions: (by_day && has_partitions).then(|| groups.dates.clone()), window: None };
    state.commit(&mut table, delete, written, CommitNote::new("build")).await?;
    let dates = by_day.then(|| groups.dates.clone());
    Ok(Some(Built { action: Action::Incremental { groups: count }, dates, redefined: false, written: rows, rows: 0 }))
}

/// Streams a query into files of a table, on a task of its own.
async fn write(
    origin: &Origin<'_>,
    sql: &str,
    frame: datafusion::prelude::DataFrame,
    mut writer: streamreel_lake::TableWriter,
    schema: &arrow_schema::SchemaRef,
) -> Result<streamreel_lake::Written> {
    let schema = Arc::clone(schema);
    let writing = SpawnedTask::spawn(async move {
        let mut rows = frame.execute_stream().await.map_err(Unwritten::Query)?;
        while let Some(batch) = rows.next().await {
            let fitted = fit(&batch.map_err(Unwritten::Query)?, &schema).map_err(Unwritten::Column)?;
            writer.write(fitted).await.map_err(Unwritten::Lake)?;
        }
        writer.finish().await.map_err(Unwritten::Lake)
    });
    let outcome = writing.join_unwind().await.map_err(|error| origin.refused(sql, error.to_string()))?;
    outcome.map_err(|error| match error {
        Unwritten::Query(error) => origin.failed(sql, &error),
        Unwritten::Column(error) => origin.refused(sql, error.to_string()),
        Unwritten::Lake(error) => Error::lake(format!("writing rows of {}", origin.node))(error),
    })
}

/// Why rows were not written.
enum Unwritten {
    Query(DataFusionError),
    Column(arrow_schema::ArrowError),
    Lake(streamreel_lake::Error),
}
