//! What can be wrong with the batches that a caller gives.

use arrow_schema::{ArrowError, DataType};

/// Errors of the sessioniser: all are the caller's, and trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("sessionise: the input has no column `{column}`")]
    MissingColumn { column: &'static str },
    #[error("sessionise: column `{column}` is {found}, which cannot be read as {wanted}")]
    ColumnType { column: String, found: DataType, wanted: DataType },
    #[error(
        "sessionise: the further column `{column}` has the name of a column of silver.{table}; rename it in the metadata"
    )]
    ColumnCollision { column: String, table: &'static str },
    #[error("sessionise: a batch has another schema than the sessioniser was made for: {found}, expected {wanted}")]
    SchemaChanged { found: String, wanted: String },
    #[error("sessionise: row {row} has no `{column}`; only clean events can be sessionised")]
    MissingValue { column: &'static str, row: usize },
    #[error("sessionise: row {row} has the unknown event type {value:?}; only clean events can be sessionised")]
    UnknownEventType { value: String, row: usize },
    #[error(
        "sessionise: row {row} (user {user_id:?}, video {video_id:?}) breaks the order; sort by user_id, video_id, session_id with nulls first"
    )]
    NotSorted { row: usize, user_id: String, video_id: String },
    #[error("sessionise: {operation}: {source}")]
    Arrow { operation: &'static str, source: ArrowError },
}

impl Error {
    /// For `map_err`, with the operation that failed.
    pub(crate) fn arrow(operation: &'static str) -> impl Fn(ArrowError) -> Self {
        move |source| Self::Arrow { operation, source }
    }
}
