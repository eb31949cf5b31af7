//! What can go wrong with a batch. (A bad record is no error: it is a row with a reason.)

use arrow_schema::DataType;

/// A batch that does not have the columns of a decoded batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column is not there.
    #[error("the batch has no column `{name}`; it needs those of `decoded_schema()`")]
    MissingColumn {
        /// The column's name.
        name: &'static str,
    },
    /// A column has another type; cast it first.
    #[error("column `{name}` is {actual}, expected {expected}; cast it first")]
    ColumnType {
        /// The column's name.
        name: &'static str,
        /// The type that it has.
        actual: DataType,
        /// The type that it must have.
        expected: DataType,
    },
}
