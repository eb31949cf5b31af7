//! From what a query gives to what a Delta table holds, and from text to rows.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::checks::Rows;
use crate::report::Sample;

const SAFE: CastOptions<'_> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The columns of the table for a query's columns: all nullable, in the types that Delta has.
///
/// # Errors
/// The text of what is wrong with a column.
pub(super) fn table_schema(query: &Schema) -> Result<SchemaRef, String> {
    let mut fields: Vec<Field> = Vec::new();
    for field in query.fields() {
        if fields.iter().any(|other| other.name() == field.name()) {
            return Err(format!("two columns are named `{}`", field.name()));
        }
        let data_type = table_type(field.data_type()).ok_or_else(|| match field.data_type() {
            DataType::Null => format!("column `{}` is null without a type: write cast(null as ...)", field.name()),
            other => {
                format!("column `{}` is of type {other}, which a Delta table does not have: cast it", field.name())
            }
        })?;
        fields.push(Field::new(field.name(), data_type, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn table_type(query: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match query {
        T::Utf8 | T::LargeUtf8 | T::Utf8View => T::Utf8,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Dictionary(_, value) => table_type(value)?,
        T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 | T::UInt64 => T::Int64,
        T::Float16 => T::Float32,
        T::Date32 | T::Date64 => T::Date32,
        T::Timestamp(_, _) => T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        T::Boolean | T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal128(_, _) => {
            query.clone()
        }
        _ => return None,
    })
}

/// A query's rows as rows of the table.
///
/// # Errors
/// A value that does not fit, such as a count beyond a 64-bit integer.
pub(super) fn fit(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                cast_with_options(column, field.data_type(), &SAFE)
            }
        })
        .collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// Rows of text in the columns of `schema`; columns that are not given are null.
///
/// # Errors
/// The text of what is wrong: an unknown column or a value that is none of its type.
pub(super) fn typed(rows: &Rows, schema: &SchemaRef) -> Result<RecordBatch, String> {
    if let Some(unknown) = rows.columns.iter().find(|name| schema.index_of(name).is_err()) {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let near =
            crate::error::nearest(unknown, known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
        return Err(format!("there is no column `{unknown}` among {}{}", known.join(", "), near.unwrap_or_default()));
    }
    let mut columns: Vec<ArrayRef> = Vec::new();
    for field in schema.fields() {
        let index = rows.columns.iter().position(|name| name == field.name());
        let text: StringArray = rows.rows.iter().map(|row| index.and_then(|index| row[index].clone())).collect();
        let column = cast_with_options(&text, field.data_type(), &SAFE);
        columns.push(column.map_err(|error| format!("column `{}` ({}): {error}", field.name(), field.data_type()))?);
    }
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| error.to_string())
}

/// Rows as text.
///
/// # Errors
/// A type that can't be shown.
pub(super) fn texts(batches: &[RecordBatch]) -> Result<Sample, ArrowError> {
    let mut sample = Sample::default();
    let options = FormatOptions::new();
    for batch in batches {
        sample.columns = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns: Vec<(ArrayFormatter<'_>, &ArrayRef)> = batch
            .columns()
            .iter()
            .map(|column| Ok((ArrayFormatter::try_new(column, &options)?, column)))
            .collect::<Result<_, ArrowError>>()?;
        for row in 0..batch.num_rows() {
            let value = |(format, column): &(ArrayFormatter<'_>, &ArrayRef)| {
                column.is_valid(row).then(|| format.value(row).to_string())
            };
            sample.rows.push(columns.iter().map(value).collect());
        }
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_a_table() {
        let query = |data_type| Schema::new(vec![Field::new("a", data_type, false)]);
        for (given, expected) in [
            (DataType::Utf8View, DataType::Utf8),
            (DataType::UInt64, DataType::Int64),
            (
                DataType::Timestamp(TimeUnit::Nanosecond, None),
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ),
            (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), DataType::Utf8),
            (DataType::Decimal128(28, 9), DataType::Decimal128(28, 9)),
        ] {
            let schema = table_schema(&query(given)).unwrap();
            assert_eq!(schema.field(0), &Field::new("a", expected, true));
        }
        assert!(table_schema(&query(DataType::Null)).unwrap_err().contains("cast(null as ...)"));
        let twice = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("a", DataType::Int32, true)]);
        assert!(table_schema(&twice).unwrap_err().contains("two columns"));
    }

    #[test]
    fn text_to_rows_and_back() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("s", DataType::Utf8View, false),
            Field::new("d", DataType::Date32, true),
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("f", DataType::Float64, true),
            Field::new("missing", DataType::Boolean, true),
        ]));
        let some = |text: &str| Some(text.to_owned());
        let mut rows = Rows {
            columns: ["d", "s", "t", "f"].map(str::to_owned).to_vec(),
            rows: vec![vec![some("2026-01-02"), some("x"), some("2026-01-02 03:04:05"), some("2")], vec![None; 4]],
        };
        let shown = texts(&[typed(&rows, &schema).unwrap()]).unwrap();
        assert_eq!(shown.rows[0], [some("x"), some("2026-01-02"), some("2026-01-02T03:04:05Z"), some("2.0"), None]);
        assert_eq!(shown.rows[1], vec![None; 5]);
        rows.rows[0][0] = some("yesterday");
        assert!(typed(&rows, &schema).unwrap_err().contains("column `d`"));
        rows.columns[1] = "ss".to_owned();
        assert!(typed(&rows, &schema).unwrap_err().contains("did you mean `s`"));
    }
}
