//! Rows by key: read from just those files that hold one, or taken out of them by copy-on-write.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, BooleanArray, RecordBatch, cast::AsArray};
use arrow_cast::cast;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use deltalake::kernel::{Action, LogicalFileView};
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashSet;
use parquet::arrow::arrow_reader::RowSelection;
use tokio::sync::mpsc;

use crate::{
    error::{Error, Result},
    files::Bounds,
    read::some_columns,
    table::Table,
};

/// Files whose keys are compared at the same time.
const CONCURRENT_FILES: usize = 2;
/// Batches of rows that wait for who asked for them.
const BATCHES_AHEAD: usize = 4;

/// Rows as bytes that are equal exactly when the rows are, nulls included.
pub(crate) struct KeySet {
    columns: SchemaRef,
    converter: RowConverter,
    encoded: HashSet<Box<[u8]>>,
    /// Sorted values of the first text column, for pruning by file bounds; `None` when one of them is null.
    texts: Option<(String, Vec<String>)>,
}

impl KeySet {
    pub(crate) fn new(table: &Table, keys: &RecordBatch) -> Result<Self> {
        let wrong = |what: String| Error::Rows { table: table.id.clone(), what };
        let names: Vec<String> = keys.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns = some_columns(&table.schema, &names);
        if columns.fields().len() != names.len() || names.is_empty() {
            return Err(wrong(format!("keys {names:?} are not all columns of it")));
        }
        let conform = || -> Result<_, ArrowError> {
            let types = columns.fields().iter();
            let arrays = keys.columns().iter().zip(types).map(|(array, field)| cast(array, field.data_type()));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            let sort = columns.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
            let converter = RowConverter::new(sort)?;
            let rows = converter.convert_columns(&arrays)?;
            let encoded = rows.iter().map(|row| Box::from(row.as_ref())).collect();
            Ok((converter, encoded, sorted_texts(&columns, &arrays)))
        };
        let (converter, encoded, texts) = conform().map_err(|e| wrong(format!("keys: {e}")))?;
        Ok(Self { columns, converter, encoded, texts })
    }

    /// Whether the bounds of a file leave room for a key.
    fn can_be_in(&self, file: &LogicalFileView) -> bool {
        let Some((column, values)) = &self.texts else { return true };
        let bounds = Bounds::of(file);
        let Some((least, greatest)) = bounds.texts(column) else { return true };
        let first = values.partition_point(|value| value.as_str() < least);
        values.get(first).is_some_and(|value| value.as_str() <= greatest)
    }

    /// Which rows of a batch of the key columns stay.
    fn keep(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        Ok(rows.iter().map(|row| Some(!self.encoded.contains(row.as_ref()))).collect())
    }
}

fn sorted_texts(columns: &SchemaRef, arrays: &[arrow_array::ArrayRef]) -> Option<(String, Vec<String>)> {
    let index = columns.fields().iter().position(|field| *field.data_type() == DataType::Utf8)?;
    let array = arrays[index].as_string::<i32>();
    if array.null_count() > 0 {
        return None;
    }
    let mut values: Vec<String> = array.iter().flatten().map(str::to_owned).collect();
    values.sort_unstable();
    values.dedup();
    Some((columns.field(index).name().clone(), values))
}

/// A file that holds a key, with what is left of it; `None`: nothing.
struct Hit {
    file: LogicalFileView,
    left: Option<RowSelection>,
}

/// Rows that have a key, as they are read. See [`Table::rows_with`].
pub struct KeyedRows {
    files: usize,
    rows: mpsc::Receiver<RecordBatch>,
    tasks: Vec<SpawnedTask<Result<()>>>,
    table: Table,
}

impl KeyedRows {
    /// Number of files that are looked at.
    pub fn files(&self) -> usize {
        self.files
    }

    /// The next ones, in no order; `None` when all were given.
    ///
    /// # Errors
    /// [`Error::DataFile`] and [`Error::Io`] when a file can't be read.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some(batch) = self.rows.recv().await {
            return Ok(Some(batch));
        }
        for task in std::mem::take(&mut self.tasks) {
            let ended = task.join_unwind().await;
            let path = self.table.place();
            ended.map_err(|e| Error::Io { operation: "read", path, source: std::io::Error::other(e) })??;
        }
        Ok(None)
    }
}

impl Table {
    /// Reads the rows that [`crate::Delete::Keys`] with the same values takes away, with these columns of the table. Of a
    /// file without a key only the columns of the keys are read.
    ///
    /// # Errors
    /// [`Error::Rows`] for keys that are no columns of it.
    pub async fn rows_with(
        &self,
        keys: &RecordBatch,
        partitions: Option<&[String]>,
        window: Option<&(String, i64, i64)>,
        columns: &[String],
    ) -> Result<KeyedRows> {
        let mut table = self.clone();
        table.bring_up().await?;
        let keys = Arc::new(KeySet::new(&table, keys)?);
        let columns = some_columns(&table.schema, columns);
        let found: Vec<_> =
            table.files_within(partitions, window).into_iter().filter(|file| keys.can_be_in(file)).collect();
        let files = found.len();
        let left = Arc::new(Mutex::new(found.into_iter()));
        let (sender, rows) = mpsc::channel(BATCHES_AHEAD);
        let reader = |_| {
            let (table, keys, columns) = (table.clone(), Arc::clone(&keys), Arc::clone(&columns));
            let (left, sender) = (Arc::clone(&left), sender.clone());
            SpawnedTask::spawn(async move {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(file) = next else { return Ok(()) };
                    table.send_rows(&keys, &file, &columns, &sender).await?;
                }
            })
        };
        let tasks = (0..CONCURRENT_FILES).map(reader).collect();
        Ok(KeyedRows { files, rows, tasks, table })
    }

    async fn send_rows(
        &self,
        keys: &KeySet,
        file: &LogicalFileView,
        columns: &SchemaRef,
        sender: &mpsc::Sender<RecordBatch>,
    ) -> Result<()> {
        let kept = self.kept(keys, file).await?;
        if kept.iter().all(|mask| mask.true_count() == mask.len()) {
            return Ok(());
        }
        let found: Vec<_> = kept.iter().map(|mask| BooleanArray::new(!mask.values(), None)).collect();
        let selection = Some(RowSelection::from_filters(&found));
        let mut rows = std::pin::pin!(self.read_file(file, columns, selection).await?);
        while let Some(batch) = rows.try_next().await? {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes of the files that hold a key and adds of what is left of them.
    pub(crate) async fn remove_keys(
        &self,
        keys: &KeySet,
        partitions: Option<&[String]>,
        window: Option<&(String, i64, i64)>,
    ) -> Result<Vec<Action>> {
        if keys.encoded.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.files_within(partitions, window).into_iter().filter(|file| keys.can_be_in(file));
        let hits: Vec<Hit> = stream::iter(files)
            .map(|file| self.find(keys, file))
            .buffered(CONCURRENT_FILES)
            .try_filter_map(|hit| std::future::ready(Ok(hit)))
            .try_collect()
            .await?;
        let mut actions: Vec<Action> = hits.iter().map(|hit| Action::Remove(hit.file.remove_action(true))).collect();
        let mut writer = self.writer();
        for hit in hits {
            let Some(left) = hit.left else { continue };
            let mut rows = std::pin::pin!(self.read_file(&hit.file, &self.schema, Some(left)).await?);
            while let Some(batch) = rows.try_next().await? {
                writer.write(batch).await?;
            }
        }
        actions.extend(writer.finish().await?.adds.into_iter().map(Action::Add));
        Ok(actions)
    }

    async fn find(&self, keys: &KeySet, file: LogicalFileView) -> Result<Option<Hit>> {
        let masks = self.kept(keys, &file).await?;
        let rows: usize = masks.iter().map(Array::len).sum();
        let kept: usize = masks.iter().map(BooleanArray::true_count).sum();
        if kept == rows {
            return Ok(None);
        }
        let left = (kept > 0).then(|| RowSelection::from_filters(&masks));
        Ok(Some(Hit { file, left }))
    }

    /// Which rows of a file have no key, batch by batch.
    async fn kept(&self, keys: &KeySet, file: &LogicalFileView) -> Result<Vec<BooleanArray>> {
        let mut masks = Vec::new();
        let mut batches = std::pin::pin!(self.read_file(file, &keys.columns, None).await?);
        while let Some(batch) = batches.try_next().await? {
            masks.push(keys.keep(&batch).map_err(|e| self.unreadable(file, e.to_string()))?);
        }
        Ok(masks)
    }

    fn unreadable(&self, file: &LogicalFileView, what: String) -> Error {
        let path = self.place().join(file.object_store_path().as_ref());
        Error::DataFile { table: self.id.clone(), path, what }
    }
}
