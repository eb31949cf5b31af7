//! The silver tables of a build: their layouts, their rows on the way in, their commits.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Date32Type;
use arrow_array::{Array, ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, stream};
use hashbrown::HashMap;
use streamreel_lake::{Base, CommitNote, Delete, Table, TableId, TableSpec, TableWriter, tables};
use streamreel_viewing::{Output, OutputSchemas};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::Error;
use crate::error::lake as failed;
use crate::metadata::{Catalogue, Metadata};
use crate::touched::{EarlierViews, Group};

const BUILD_ID: &str = "build_id";
const CHANGES_A_BATCH: usize = 64 * 1024;
/// Tables that are committed at the same time.
const COMMITTED_AT_ONCE: usize = 2;

/// How the rows of a build replace earlier ones.
pub(crate) enum Replace<'a> {
    /// Everything that was there.
    All,
    /// These views.
    Views {
        views: &'a EarlierViews,
        /// Of their rows in `silver.enriched_events` those that go, by [`Standing::gone`]; `None`: all of them.
        ///
        /// [`Standing::gone`]: crate::standing::Standing::gone
        events: Option<RecordBatch>,
    },
}

/// Versions of tables after a build's commits.
pub(crate) type Versions = BTreeMap<TableId, i64>;

/// The five tables that hold views, open for the rows of one build.
pub(crate) struct ViewTables {
    build_id: String,
    tables: Vec<(Table, TableWriter)>,
    groups: HashMap<u128, Group>,
}

/// The layouts of the five tables for this build's columns, in the order of [`parts`].
fn specs(schemas: &OutputSchemas) -> [TableSpec; 5] {
    [
        widened(tables::enriched_events(), &schemas.enriched),
        widened(tables::watched_segments(), &schemas.segments),
        widened(tables::seeks(), &schemas.seeks),
        widened(tables::views(), &schemas.views),
        widened(tables::view_spans(), &schemas.spans),
    ]
}

fn parts(output: Output) -> [RecordBatch; 5] {
    [output.enriched, output.segments, output.seeks, output.views, output.spans]
}

/// The layout with the kernel's further columns before `build_id`.
fn widened(mut spec: TableSpec, kernel: &SchemaRef) -> TableSpec {
    let fixed = spec.schema.clone();
    let mut fields: Vec<Field> =
        fixed.fields().iter().filter(|f| f.name() != BUILD_ID).map(|f| f.as_ref().clone()).collect();
    let further = kernel.fields().iter().filter(|f| fixed.index_of(f.name()).is_err());
    fields.extend(further.map(|f| f.as_ref().clone()));
    fields.push(Field::new(BUILD_ID, DataType::Utf8, false));
    spec.schema = Arc::new(Schema::new(fields));
    spec
}

impl ViewTables {
    /// Opens writers; tables that are not there are made. With [`Replace::All`] their columns become this build's.
    pub(crate) async fn open(base: &Base, schemas: &OutputSchemas, build_id: &str, all: bool) -> Result<Self, Error> {
        let mut opened = Vec::with_capacity(5);
        for spec in specs(schemas) {
            let (table, writer) = open(base, &spec, all).await?;
            opened.push((table, writer));
        }
        Ok(Self { build_id: build_id.to_owned(), tables: opened, groups: HashMap::new() })
    }

    /// Adds rows.
    pub(crate) async fn write(&mut self, output: Output) -> Result<(), Error> {
        self.note_groups(&output.spans);
        for ((_, writer), batch) in self.tables.iter_mut().zip(parts(output)) {
            if batch.num_rows() > 0 {
                writer.write(stamped(&batch, &self.build_id)?).await.map_err(failed("writing silver"))?;
            }
        }
        Ok(())
    }

    /// Rows of one group come together, so that most are known by the last one's hash.
    fn note_groups(&mut self, spans: &RecordBatch) {
        let (videos, regions) = (spans["video_id"].as_string::<i32>(), spans["region"].as_string::<i32>());
        let dates = spans["view_date"].as_primitive::<Date32Type>();
        for row in 0..spans.num_rows() {
            let region = regions.is_valid(row).then(|| regions.value(row));
            let seed = xxh3_64_with_seed(region.unwrap_or_default().as_bytes(), u64::from(region.is_some()));
            let seed = seed ^ (dates.value(row) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let key = xxh3_128_with_seed(videos.value(row).as_bytes(), seed);
            let group = || (videos.value(row).to_owned(), region.map(str::to_owned), dates.value(row));
            self.groups.entry(key).or_insert_with(group);
        }
    }

    /// Commits each table and returns the versions, and the groups that the new rows are in.
    pub(crate) async fn commit(self, replace: &Replace<'_>) -> Result<(Versions, HashSet<Group>), Error> {
        let mut commits = Vec::with_capacity(self.tables.len());
        for (table, writer) in self.tables {
            let delete = deletion(table.id(), replace)?;
            let note = CommitNote::new("derive").of_build(&self.build_id);
            commits.push(committed(table, writer, delete, note));
        }
        // Each is a task, so that one encodes while another waits for the disk.
        let tasks = stream::iter(commits).map(|commit| SpawnedTask::spawn(commit).join_unwind());
        let mut done = tasks.buffered(COMMITTED_AT_ONCE);
        let mut versions = Versions::new();
        while let Some(ended) = done.next().await {
            let (id, version) = ended.map_err(|e| Error::Derive(format!("a commit was stopped: {e}")))??;
            versions.insert(id, version);
        }
        Ok((versions, self.groups.into_values().collect()))
    }
}

async fn committed(
    mut table: Table,
    writer: TableWriter,
    delete: Delete,
    note: CommitNote,
) -> Result<(TableId, i64), Error> {
    let written = writer.finish().await.map_err(failed("writing silver"))?;
    let version = table.commit(delete, written, note).await.map_err(failed("committing silver"))?;
    Ok((table.id().clone(), version))
}

async fn open(base: &Base, spec: &TableSpec, all: bool) -> Result<(Table, TableWriter), Error> {
    let opened = if all { base.open_or_create(spec).await } else { base.create(spec).await };
    let table = opened.map_err(failed("opening silver"))?;
    let writer = if all { table.writer_for(spec) } else { table.writer() };
    Ok((table, writer))
}

fn deletion(table: &TableId, replace: &Replace<'_>) -> Result<Delete, Error> {
    let (views, events) = match replace {
        Replace::All => return Ok(Delete::All),
        Replace::Views { views, .. } if views.view_ids.is_empty() => return Ok(Delete::Nothing),
        Replace::Views { views, events } => (views, events.as_ref().filter(|_| table.name == "enriched_events")),
    };
    let Looked { keys, partitions, window } = looked_for(table, views)?;
    let keys = match events {
        Some(events) if events.num_rows() == 0 => return Ok(Delete::Nothing),
        Some(events) => events.clone(),
        None => keys,
    };
    Ok(Delete::Keys { keys, partitions: Some(partitions), window: Some(window) })
}

/// What the rows of touched views have in common.
pub(crate) struct Looked {
    pub(crate) keys: RecordBatch,
    pub(crate) partitions: Vec<String>,
    pub(crate) window: (String, i64, i64),
}

/// The rows of touched views lie in files of their dates and times; only those are looked at.
pub(crate) fn looked_for(table: &TableId, views: &EarlierViews) -> Result<Looked, Error> {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(&views.view_ids));
    let keys = RecordBatch::try_from_iter([("view_id", ids)]).map_err(|e| Error::Derive(e.to_string()))?;
    let partitions = views.dates.iter().map(|&date| date_text(date)).collect();
    // Every time of a view, its segments and seeks lies between its first and its last event.
    let column = match table.name.as_str() {
        "enriched_events" => "event_ts",
        "seeks" => "seeked_at",
        "view_spans" => "first_event_at",
        _ => "started_at",
    };
    Ok(Looked { keys, partitions, window: (column.to_owned(), views.first_us, views.last_us) })
}

/// `2026-01-31`.
fn date_text(days: i32) -> String {
    Date32Array::from(vec![days]).value_as_date(0).map_or_else(String::new, |date| date.to_string())
}

fn stamped(batch: &RecordBatch, build_id: &str) -> Result<RecordBatch, Error> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(BUILD_ID, DataType::Utf8, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(build_id, batch.num_rows()))));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| Error::Derive(e.to_string()))
}

/// Appends to `silver.changes` every group that the build touched.
pub(crate) async fn append_changes(base: &Base, build_id: &str, groups: &[Group]) -> Result<(TableId, i64), Error> {
    let mut table = base.create(&tables::changes()).await.map_err(failed("opening silver.changes"))?;
    let mut writer = table.writer();
    for chunk in groups.chunks(CHANGES_A_BATCH) {
        let videos: ArrayRef = Arc::new(StringArray::from_iter_values(chunk.iter().map(|g| &g.0)));
        let regions: ArrayRef = Arc::new(chunk.iter().map(|g| g.1.as_deref()).collect::<StringArray>());
        let dates: ArrayRef = Arc::new(Date32Array::from_iter_values(chunk.iter().map(|g| g.2)));
        let columns = [("video_id", videos, true), ("region", regions, true), ("view_date", dates, false)];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|e| Error::Derive(e.to_string()))?;
        writer.write(stamped(&batch, build_id)?).await.map_err(failed("writing silver.changes"))?;
    }
    let written = writer.finish().await.map_err(failed("writing silver.changes"))?;
    let note = CommitNote::new("derive").of_build(build_id);
    let version = table.commit(Delete::Nothing, written, note).await.map_err(failed("committing silver.changes"))?;
    Ok((table.id().clone(), version))
}

/// Keeps the metadata that the build used, to see next time what has changed.
pub(crate) async fn keep_metadata(base: &Base, build_id: &str, metadata: &Metadata) -> Result<Versions, Error> {
    let mut versions = Versions::new();
    let kept = [(tables::video_metadata(), &metadata.videos), (tables::user_metadata(), &metadata.users)];
    for (mut spec, catalogue) in kept {
        spec.schema = stamped(&catalogue.batch().slice(0, 0), build_id)?.schema();
        let (mut table, mut writer) = open(base, &spec, true).await?;
        writer.write(stamped(catalogue.batch(), build_id)?).await.map_err(failed("writing metadata"))?;
        let written = writer.finish().await.map_err(failed("writing metadata"))?;
        let note = CommitNote::new("derive").of_build(build_id);
        let version = table.commit(Delete::All, written, note).await.map_err(failed("committing metadata"))?;
        versions.insert(spec.id, version);
    }
    Ok(versions)
}

/// What the last build kept, without its `build_id`; `None` where nothing was.
pub(crate) fn kept_catalogue(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns: Vec<usize> =
        (0..batch.num_columns()).filter(|&c| batch.schema().field(c).name() != BUILD_ID).collect();
    batch.project(&columns).map_err(|e| Error::Derive(e.to_string()))
}

/// Whether a catalogue has the rows and columns that were kept; if not, the ids that differ (`None`: all).
pub(crate) fn changed_ids(catalogue: &Catalogue, kept: Option<&RecordBatch>) -> Result<Option<HashSet<String>>, Error> {
    match kept {
        Some(kept) => catalogue.changed_since(&kept_catalogue(kept)?),
        None if catalogue.batch().num_rows() == 0 => Ok(Some(HashSet::new())),
        None => Ok(None),
    }
}
