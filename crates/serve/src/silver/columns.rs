//! Columns of a batch by name, with the types that the queries here ask for.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use super::engine::Trouble;

/// A batch whose columns are asked for by name. Integers come as 64 bits, text without dictionaries.
pub(crate) struct Columns<'a>(pub(crate) &'a RecordBatch);

impl Columns<'_> {
    fn column(&self, name: &str, as_type: &DataType) -> Result<ArrayRef, Trouble> {
        let missing = || Trouble::Shape(format!("the engine gave no column {name}"));
        let column = self.0.column_by_name(name).ok_or_else(missing)?;
        cast(column, as_type).map_err(|error| Trouble::Shape(format!("column {name}: {error}")))
    }

    /// Whole numbers.
    pub(crate) fn integers(&self, name: &str) -> Result<Int64Array, Trouble> {
        Ok(self.column(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    /// Numbers.
    pub(crate) fn floats(&self, name: &str) -> Result<Float64Array, Trouble> {
        Ok(self.column(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// Exact sums: whole numbers of up to 38 digits.
    pub(crate) fn exact(&self, name: &str) -> Result<Decimal128Array, Trouble> {
        Ok(self.column(name, &DataType::Decimal128(38, 0))?.as_primitive::<Decimal128Type>().clone())
    }

    /// Text.
    pub(crate) fn texts(&self, name: &str) -> Result<StringArray, Trouble> {
        Ok(self.column(name, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// Bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<BinaryArray, Trouble> {
        Ok(self.column(name, &DataType::Binary)?.as_binary::<i32>().clone())
    }

    /// Dates.
    pub(crate) fn days(&self, name: &str) -> Result<Date32Array, Trouble> {
        Ok(self.column(name, &DataType::Date32)?.as_primitive::<Date32Type>().clone())
    }

    /// Instants, microseconds since 1970.
    pub(crate) fn instants(&self, name: &str) -> Result<PrimitiveArray<TimestampMicrosecondType>, Trouble> {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Ok(self.column(name, &micros)?.as_primitive::<TimestampMicrosecondType>().clone())
    }
}

/// The value of a row, `None` where it is null.
pub(crate) fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}
