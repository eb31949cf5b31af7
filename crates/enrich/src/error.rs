//! What can go wrong between bronze and silver, named by operation.

use std::path::PathBuf;

/// An enrichment that did not come about. Nothing of it is visible: the last derived silver stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was landed yet.
    #[error("there is no bronze yet: run `streamreel process` first")]
    NoBronze,
    /// A metadata file can't be read.
    #[error("can't read the metadata {path}: {problem}")]
    MetadataRead {
        /// The file.
        path: PathBuf,
        /// What the system or the parser said.
        problem: String,
    },
    /// A metadata file says something that it may not.
    #[error("the metadata {path}{} {problem}", row.map_or_else(String::new, |r| format!(", row {r}:")))]
    MetadataInvalid {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1 after the header.
        row: Option<usize>,
        /// What is wrong and what is expected.
        problem: String,
    },
    /// The events on their way into views could not be kept aside on disk.
    #[error("can't keep events aside in {path} while they are sorted into views: {problem}; is the disk full?")]
    Spool {
        /// The temporary folder.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// Bronze or silver could not be read, written or rolled back.
    #[error("{operation}: {source}")]
    Lake {
        /// What was being done.
        operation: &'static str,
        /// What the lake said.
        source: streamreel_lake::Error,
    },
    /// A query over the lake failed.
    #[error("{operation}: {source}")]
    Query {
        /// What was being read.
        operation: &'static str,
        /// What the engine said.
        source: Box<datafusion::error::DataFusionError>,
    },
    /// The kernel refused a batch.
    #[error("deriving views: {0}")]
    Derive(String),
    /// The caller asked to stop; nothing was published.
    #[error("interrupted; the last silver stays as it was")]
    Cancelled,
}

/// For `map_err`: names the lake operation that failed.
pub(crate) fn lake(operation: &'static str) -> impl Fn(streamreel_lake::Error) -> Error {
    move |source| Error::Lake { operation, source }
}

/// For `map_err`: names the query that failed.
pub(crate) fn query(operation: &'static str) -> impl Fn(datafusion::error::DataFusionError) -> Error {
    move |source| Error::Query { operation, source: Box::new(source) }
}
