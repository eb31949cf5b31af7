//! Rows into data files: split by partition and slot, encoded on two threads, with bounded memory.
//!
//! A writer gathers rows per place (partition values and slot) and hands them in chunks to one of two lanes, each
//! a task that owns the open files of its places. Nothing is visible before a commit names the files.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, cast::AsArray, new_null_array,
    types::TimestampMicrosecondType,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef, TimeUnit};
use arrow_select::{concat::concat_batches, take::take_record_batch};
use deltalake::{
    DeltaTableError,
    datafile::writer::{PartitionWriter, PartitionWriterConfig},
    kernel::{Add, scalars::ScalarExt},
};
use indexmap::IndexMap;
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    deferred::Deferred,
    error::{Error, Result},
    place::Place,
    read::some_columns,
    spec::TableId,
    table::{self, Placing, Table},
    tables,
};

/// Tasks that encode.
const LANES: usize = 2;
/// Chunks that wait for a lane.
const WAITING_CHUNKS: usize = 2;
/// Rows that are handed to a lane at once.
const CHUNK_ROWS: usize = 16 * 1024;
/// Batches of fewer rows than this, in the mean, are put together before they are encoded.
const FEW_ROWS: usize = 2 * 1024;
/// Bytes of rows that a writer gathers over all places before it hands on the largest.
const GATHERED_BYTES: usize = 64 << 20;
/// Bytes of rows in files that a lane keeps open, before encoding, before it closes the largest.
const OPEN_BYTES: usize = 160 << 20;
/// Rows of a row group: small enough to skip by, large enough to scan.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Files with rows that no commit names yet.
#[derive(Debug, Default)]
pub struct Written {
    /// Rows in them.
    pub rows: u64,
    pub(crate) adds: Vec<Add>,
    pub(crate) shape: Option<Shape>,
}

impl Written {
    /// Number of files.
    pub fn files(&self) -> usize {
        self.adds.len()
    }
}

/// What a writer wrote for.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) schema: SchemaRef,
    pub(crate) placing: Arc<Placing>,
}

/// A stream of rows into files. Dropped without [`TableWriter::finish`], it leaves nothing that is visible.
pub struct TableWriter {
    target: Target,
    rows: u64,
    places: HashMap<Box<[u8]>, usize>,
    gathered: Vec<Gathered>,
    gathered_bytes: usize,
    lanes: Vec<Option<Lane>>,
}

/// Rows of a place that wait to be handed on.
struct Gathered {
    /// One row of the partition columns.
    partition: RecordBatch,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

struct Lane {
    sender: mpsc::Sender<Message>,
    task: JoinHandle<Result<Vec<Add>>>,
}

enum Message {
    Rows { place: usize, partition: RecordBatch, rows: Vec<RecordBatch> },
    Finish,
}

/// What both ends of a writer need to know.
#[derive(Clone)]
struct Target {
    table: TableId,
    path: Place,
    store: Deferred,
    shape: Shape,
    /// Columns that are in the files.
    file_schema: SchemaRef,
    partition_schema: SchemaRef,
    target_bytes: u64,
    target_rows: usize,
}

impl TableWriter {
    pub(crate) fn open(table: &Table, schema: SchemaRef, placing: Arc<Placing>) -> Self {
        let schema = crate::evolve::stored(table, &schema).unwrap_or(schema);
        let in_files: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
        let in_files: Vec<String> = in_files.into_iter().filter(|n| !placing.partition_by.contains(n)).collect();
        let settings = table.lake.settings();
        let target = Target {
            table: table.id.clone(),
            path: table.place(),
            store: Deferred::new(table.delta().object_store()),
            file_schema: some_columns(&schema, &in_files),
            partition_schema: some_columns(&schema, &placing.partition_by),
            shape: Shape { schema, placing },
            target_bytes: settings.target_file_bytes.max(1),
            target_rows: settings.target_file_rows.max(1),
        };
        let (places, gathered) = Default::default();
        Self { target, rows: 0, places, gathered, gathered_bytes: 0, lanes: (0..LANES).map(|_| None).collect() }
    }

    /// The columns that rows are converted to.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.target.shape.schema)
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows. Columns are found by name and converted to the table's types; nullable ones may be missing.
    ///
    /// # Errors
    /// [`Error::Rows`] for a column that the table does not have, a null where none may be, a value that can't be
    /// converted; [`Error::Io`] from the disk.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = conform(&self.target, &batch)?;
        self.rows += rows.num_rows() as u64;
        for (place, part) in self.split(&rows)? {
            let gathered = &mut self.gathered[place];
            gathered.rows += part.num_rows();
            let bytes = memory(&part);
            gathered.bytes += bytes;
            gathered.batches.push(part);
            self.gathered_bytes += bytes;
            if self.gathered[place].rows >= CHUNK_ROWS {
                self.hand_on(place).await?;
            }
        }
        while self.gathered_bytes > GATHERED_BYTES {
            let largest = (0..self.gathered.len()).max_by_key(|&place| self.gathered[place].bytes).unwrap_or_default();
            self.hand_on(largest).await?;
        }
        Ok(())
    }

    /// Closes all files and returns what a commit needs.
    pub async fn finish(mut self) -> Result<Written> {
        for place in 0..self.gathered.len() {
            self.hand_on(place).await?;
        }
        let mut adds = Vec::new();
        for lane in std::mem::take(&mut self.lanes).into_iter().flatten() {
            let sent = lane.sender.send(Message::Finish).await;
            drop(lane.sender);
            adds.extend(joined(&self.target, lane.task.await)?);
            if sent.is_err() {
                return Err(self.target.failed("write", std::io::Error::other("a writing task ended early")));
            }
        }
        Ok(Written { rows: self.rows, adds, shape: Some(self.target.shape.clone()) })
    }

    /// Splits rows by place, partition columns left out.
    fn split(&mut self, rows: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let target = self.target.clone();
        let parts = group(&target, rows).map_err(|e| target.rows_error(e.to_string()))?;
        let mut split = Vec::with_capacity(parts.len());
        for (key, indices) in parts {
            let part = match indices {
                None => rows.clone(),
                Some(indices) => take_record_batch(rows, &indices).map_err(|e| target.rows_error(e.to_string()))?,
            };
            let place = match self.places.get(&key) {
                Some(place) => *place,
                None => {
                    let partition = project(&part.slice(0, 1), &target.partition_schema);
                    let place = self.gathered.len();
                    self.gathered.push(Gathered { partition, batches: Vec::new(), rows: 0, bytes: 0 });
                    self.places.insert(key, place);
                    place
                }
            };
            split.push((place, project(&part, &target.file_schema)));
        }
        Ok(split)
    }

    /// Hands the gathered rows of a place to its lane.
    async fn hand_on(&mut self, place: usize) -> Result<()> {
        let gathered = &mut self.gathered[place];
        if gathered.rows == 0 {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut gathered.batches);
        let row_count = std::mem::take(&mut gathered.rows);
        self.gathered_bytes -= std::mem::take(&mut gathered.bytes);
        let partition = gathered.partition.clone();
        if rows.len() > 1 && row_count / rows.len() < FEW_ROWS {
            let together = concat_batches(&self.target.file_schema, &rows);
            rows = vec![together.map_err(|e| self.target.rows_error(e.to_string()))?];
        }
        let slot = place % LANES;
        let target = &self.target;
        let lane = self.lanes[slot].get_or_insert_with(|| Lane::start(target.clone()));
        if lane.sender.send(Message::Rows { place, partition, rows }).await.is_ok() {
            return Ok(());
        }
        // The lane ended: it says why.
        match self.lanes[slot].take() {
            Some(lane) => joined(&self.target, lane.task.await)
                .and_then(|_| Err(self.target.failed("write", std::io::Error::other("a writing task ended early")))),
            None => Ok(()),
        }
    }
}

impl Target {
    fn rows_error(&self, what: String) -> Error {
        Error::Rows { table: self.table.clone(), what }
    }

    fn failed(&self, operation: &'static str, source: std::io::Error) -> Error {
        Error::Io { operation, path: self.path.clone(), source }
    }

    /// Writes that failed are told here, and nowhere else.
    fn check_written(&self) -> Result<()> {
        self.store.take_error().map_or(Ok(()), |e| Err(self.delta_error(DeltaTableError::ObjectStore { source: e })))
    }

    fn delta_error(&self, source: DeltaTableError) -> Error {
        table::error("write", &self.table, &self.path, source)
    }
}

fn joined(target: &Target, result: std::result::Result<Result<Vec<Add>>, tokio::task::JoinError>) -> Result<Vec<Add>> {
    result.unwrap_or_else(|e| Err(target.failed("write", std::io::Error::other(e))))
}

/// An open file of a place.
struct Open {
    writer: PartitionWriter,
    rows: usize,
    bytes: usize,
}

impl Lane {
    fn start(target: Target) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        Self { sender, task: tokio::spawn(encode(target, receiver)) }
    }
}

/// Encodes what comes until it is told to finish; ends without files when the writer is dropped.
async fn encode(target: Target, mut receiver: mpsc::Receiver<Message>) -> Result<Vec<Add>> {
    let mut open: HashMap<usize, Open> = HashMap::new();
    let mut open_bytes = 0;
    let mut adds = Vec::new();
    while let Some(message) = receiver.recv().await {
        let Message::Rows { place, partition, rows } = message else {
            for (_, file) in open {
                adds.extend(file.writer.close().await.map_err(|e| target.delta_error(e))?);
            }
            target.check_written()?;
            return Ok(adds);
        };
        let file = match open.entry(place) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Open { writer: open_file(&target, &partition)?, rows: 0, bytes: 0 })
            }
        };
        for rows in rows {
            file.writer.write(&rows).await.map_err(|e| target.delta_error(e))?;
            let bytes = memory(&rows);
            file.rows += rows.num_rows();
            file.bytes += bytes;
            open_bytes += bytes;
        }
        let full = (file.rows >= target.target_rows).then_some(place);
        let closing = full.or_else(|| if open_bytes > OPEN_BYTES { largest(&open) } else { None });
        if let Some(file) = closing.and_then(|place| open.remove(&place)) {
            open_bytes -= file.bytes;
            adds.extend(file.writer.close().await.map_err(|e| target.delta_error(e))?);
        }
        target.check_written()?;
    }
    for (_, file) in open {
        // What can't be cleaned up now is an orphan for vacuum.
        let _ = file.writer.abort().await;
    }
    Ok(Vec::new())
}

/// Bytes that rows take in memory; a slice of a large batch counts for its part.
fn memory(rows: &RecordBatch) -> usize {
    rows.get_array_memory_size().min(rows.num_rows() * 4096)
}

fn largest(open: &HashMap<usize, Open>) -> Option<usize> {
    open.iter().max_by_key(|(_, file)| file.bytes).map(|(place, _)| *place)
}

fn open_file(target: &Target, partition: &RecordBatch) -> Result<PartitionWriter> {
    let mut values = IndexMap::new();
    for (field, array) in partition.schema().fields().iter().zip(partition.columns()) {
        let value = ScalarExt::from_array(array.as_ref(), 0)
            .ok_or_else(|| target.rows_error(format!("{} can't be a partition column", field.name())))?;
        values.insert(field.name().clone(), value);
    }
    let level = ZstdLevel::try_new(1).map_err(|e| target.delta_error(e.into()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("streamreel ", env!("CARGO_PKG_VERSION")).to_owned());
    let properties = target.file_schema.fields().iter().fold(properties, |p, field| encoded(p, field));
    let properties = with_statistics(properties, target).build();
    let config = PartitionWriterConfig::try_new(
        Arc::clone(&target.file_schema),
        values,
        Some(properties),
        NonZeroU64::new(target.target_bytes),
        Some(CHUNK_ROWS),
        None,
        None,
    );
    let stats = target.shape.placing.stats.clone();
    config
        .and_then(|config| {
            // Where a table names no columns with statistics, the first 32 have them, as everywhere.
            PartitionWriter::try_with_config(Arc::new(target.store.clone()), config, Default::default(), stats)
        })
        .map_err(|e| target.delta_error(e))
}

/// How a column is encoded: by default with a dictionary, which is a waste of time where values hardly repeat.
fn encoded(properties: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
    let column = ColumnPath::from(field.name().as_str());
    match field.data_type() {
        DataType::Int64 | DataType::Timestamp(..) => properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
        _ if tables::DISTINCT.contains(&field.name().as_str()) => {
            properties.set_column_dictionary_enabled(column, false)
        }
        _ => properties,
    }
}

/// Statistics in the file's footer for the columns that have them in the table's log, if it names any, and for no others: nobody
/// skips rows by them, and of long texts they take time.
fn with_statistics(properties: WriterPropertiesBuilder, target: &Target) -> WriterPropertiesBuilder {
    let Some(stats) = &target.shape.placing.stats else { return properties };
    let others = target.file_schema.fields().iter().filter(|field| !stats.contains(field.name()));
    others.fold(properties, |properties, field| {
        properties.set_column_statistics_enabled(ColumnPath::from(field.name().as_str()), EnabledStatistics::None)
    })
}

fn project(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns = schema.fields().iter().filter_map(|field| rows.column_by_name(field.name()).cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .unwrap_or_else(|_| RecordBatch::new_empty(Arc::clone(schema)))
}

/// The columns of a table in its order and types.
fn conform(target: &Target, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = &target.shape.schema;
    if let Some(other) = batch.schema().fields().iter().find(|f| schema.field_with_name(f.name()).is_err()) {
        return Err(target.rows_error(format!("it has no column {}", other.name())));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => cast_with_options(column, field.data_type(), &strict)
                .map_err(|e| target.rows_error(format!("{}: {e}", field.name())))?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        if !field.is_nullable() && column.logical_null_count() > 0 {
            let count = column.logical_null_count();
            return Err(target.rows_error(format!("{} is null in {count} of {} rows", field.name(), batch.num_rows())));
        }
        columns.push(column);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|e| target.rows_error(e.to_string()))
}

type Groups = Vec<(Box<[u8]>, Option<UInt32Array>)>;

/// Rows by place; `None`: all rows.
fn group(target: &Target, rows: &RecordBatch) -> std::result::Result<Groups, ArrowError> {
    let mut columns: Vec<ArrayRef> =
        target.shape.placing.partition_by.iter().filter_map(|name| rows.column_by_name(name).cloned()).collect();
    columns.extend(slots(target, rows)?);
    if columns.is_empty() {
        return Ok(vec![(Box::default(), None)]);
    }
    let sort = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let encoded = RowConverter::new(sort)?.convert_columns(&columns)?;
    let first = encoded.row(0);
    if encoded.iter().all(|row| row == first) {
        return Ok(vec![(Box::from(first.as_ref()), None)]);
    }
    let mut groups: IndexMap<&[u8], Vec<u32>> = IndexMap::new();
    let all: Vec<_> = encoded.iter().collect();
    for (index, row) in (0_u32..).zip(&all) {
        groups.entry(row.as_ref()).or_default().push(index);
    }
    Ok(groups.into_iter().map(|(key, rows)| (Box::from(key), Some(UInt32Array::from(rows)))).collect())
}

/// Number of the slot that each row falls in.
fn slots(target: &Target, rows: &RecordBatch) -> std::result::Result<Option<ArrayRef>, ArrowError> {
    let Some((name, slot)) = &target.shape.placing.cluster_by else { return Ok(None) };
    let Some(column) = rows.column_by_name(name) else { return Ok(None) };
    let micros = i64::try_from(slot.as_micros()).unwrap_or(i64::MAX).max(1);
    if !matches!(column.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
        return Err(ArrowError::SchemaError(format!("{name} is no timestamp in microseconds")));
    }
    let times = column.as_primitive::<TimestampMicrosecondType>();
    let slots: Int64Array = times.iter().map(|at| at.map(|at| at.div_euclid(micros))).collect();
    Ok(Some(Arc::new(slots)))
}
