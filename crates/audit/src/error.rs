//! Why there is no answer.

/// Something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lake.
    #[error("{operation}: {source}")]
    Lake {
        /// What was being done.
        operation: &'static str,
        /// What the lake said.
        source: streamreel_lake::Error,
    },
    /// The log.
    #[error("{operation}: {source}")]
    Log {
        /// What was being done.
        operation: &'static str,
        /// What the log said.
        source: streamreel_topic::Error,
    },
    /// A query over the lake.
    #[error("computing \"{what}\": {source}")]
    Query {
        /// Which number.
        what: String,
        /// What the engine said.
        source: Box<datafusion::error::DataFusionError>,
    },
    /// A query gave no number.
    #[error("computing \"{what}\" gave no number")]
    NoNumber {
        /// Which number.
        what: String,
    },
}

impl Error {
    pub(crate) fn lake(operation: &'static str) -> impl Fn(streamreel_lake::Error) -> Self {
        move |source| Self::Lake { operation, source }
    }

    pub(crate) fn log(operation: &'static str) -> impl Fn(streamreel_topic::Error) -> Self {
        move |source| Self::Log { operation, source }
    }
}
