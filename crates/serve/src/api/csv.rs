//! Rows as CSV: the same names and values as in JSON, null is empty.

use std::sync::Arc;

use arrow_csv::WriterBuilder;
use arrow_json::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use serde::Serialize;

/// Rows of an answer that is a list. `COLUMNS` are its fields, as they are in JSON, in their order.
pub(crate) trait Row: Serialize {
    const COLUMNS: &'static [(&'static str, Column)];
}

/// What kind of value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    Text,
    Integer,
    Number,
}

impl Column {
    fn data_type(self) -> DataType {
        match self {
            Column::Text => DataType::Utf8,
            Column::Integer => DataType::Int64,
            Column::Number => DataType::Float64,
        }
    }
}

/// Writes rows, under a header.
///
/// # Errors
/// If `COLUMNS` are not the fields of the rows.
pub(crate) fn write<R: Row>(rows: &[R]) -> Result<Vec<u8>, ArrowError> {
    let fields = R::COLUMNS.iter().map(|(name, column)| Field::new(*name, column.data_type(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut decoder = ReaderBuilder::new(Arc::clone(&schema)).with_strict_mode(true).build_decoder()?;
    decoder.serialize(rows)?;
    let batch = decoder.flush()?.unwrap_or_else(|| arrow_array::RecordBatch::new_empty(schema));
    let mut text = Vec::new();
    WriterBuilder::new().with_header(true).build(&mut text).write(&batch)?;
    Ok(text)
}
