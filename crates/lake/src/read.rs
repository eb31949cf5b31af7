//! Data files read back, as rows of the table: partition values and columns that came later included.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow_cast::cast;
use arrow_schema::{Field, Schema, SchemaRef};
use deltalake::kernel::LogicalFileView;
use futures::{Stream, TryStreamExt};
use parquet::arrow::{ProjectionMask, arrow_reader::RowSelection, async_reader::ParquetRecordBatchStreamBuilder};

use crate::{
    error::{Cause, Error, Result, cause},
    parquet_file::ParquetFile,
    table::Table,
};

/// Rows of a batch that is read back.
const READ_ROWS: usize = 16 * 1024;

impl Table {
    /// Rows of a file with these columns of the table, all or the selected ones.
    pub(crate) async fn read_file(
        &self,
        file: &LogicalFileView,
        columns: &SchemaRef,
        selection: Option<RowSelection>,
    ) -> Result<impl Stream<Item = Result<RecordBatch>> + use<>> {
        let failed = DataFile { table: self.clone(), path: file.object_store_path().to_string() };
        let reader = ParquetFile::new(self.delta().object_store(), file.object_store_path());
        let mut builder = ParquetRecordBatchStreamBuilder::new(reader)
            .await
            .map_err(|e| failed.error(&e))?
            .with_batch_size(READ_ROWS);
        let stored = Arc::clone(builder.schema());
        let kept = columns.fields().iter().filter_map(|field| stored.index_of(field.name()).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), kept);
        builder = builder.with_projection(mask);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let constants = self.constants(file, columns)?;
        let columns = Arc::clone(columns);
        let stream = builder.build().map_err(|e| failed.error(&e))?;
        let completing = failed.clone();
        Ok(stream.map_err(move |e| failed.error(&e)).and_then(move |batch| {
            let completed = complete(&batch, &columns, &constants).map_err(|e| completing.error(&e));
            futures::future::ready(completed)
        }))
    }

    /// Partition values of a file as arrays of one row.
    fn constants(&self, file: &LogicalFileView, columns: &SchemaRef) -> Result<Vec<(String, ArrayRef)>> {
        let values = file.partition_values_map();
        let mut constants = Vec::new();
        for name in &self.placing.partition_by {
            let Ok(field) = columns.field_with_name(name) else { continue };
            let text = StringArray::from(vec![values.get(name).and_then(|value| value.as_deref())]);
            let value = cast(&text, field.data_type()).map_err(|e| Error::Rows {
                table: self.id.clone(),
                what: format!("partition value of {name} in {}: {e}", file.path()),
            })?;
            constants.push((name.clone(), value));
        }
        Ok(constants)
    }
}

#[derive(Clone)]
struct DataFile {
    table: Table,
    path: String,
}

impl DataFile {
    fn error(&self, source: &(dyn std::error::Error + 'static)) -> Error {
        let path = self.table.place().join(&self.path);
        let what = match cause("read", &path, source) {
            Some(Cause::Failed(error)) => return error,
            Some(Cause::Missing(_)) => "it is gone".to_owned(),
            None => source.to_string(),
        };
        Error::DataFile { table: self.table.id.clone(), path, what }
    }
}

/// The columns in the order and with the types asked for.
fn complete(
    batch: &RecordBatch,
    columns: &SchemaRef,
    constants: &[(String, ArrayRef)],
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let rows = batch.num_rows();
    let mut arrays = Vec::with_capacity(columns.fields().len());
    for field in columns.fields() {
        let constant = constants.iter().find(|(name, _)| name == field.name());
        let array = match (constant, batch.column_by_name(field.name())) {
            (Some((_, value)), _) => repeat(value, rows)?,
            (None, Some(array)) if array.data_type() == field.data_type() => Arc::clone(array),
            (None, Some(array)) => cast(array, field.data_type())?,
            (None, None) => new_null_array(field.data_type(), rows),
        };
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(columns), arrays, &options)
}

fn repeat(value: &ArrayRef, rows: usize) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    let indices = arrow_array::UInt32Array::from(vec![0; rows]);
    arrow_select::take::take(value, &indices, None)
}

/// Some columns of a schema.
pub(crate) fn some_columns(schema: &SchemaRef, names: &[String]) -> SchemaRef {
    let fields: Vec<Field> = names.iter().filter_map(|name| schema.field_with_name(name).ok()).cloned().collect();
    Arc::new(Schema::new(fields))
}
