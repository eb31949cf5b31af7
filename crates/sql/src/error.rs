//! Why the endpoint can't be opened.

use std::{net::SocketAddr, path::PathBuf};

use datafusion::error::DataFusionError;

/// Result of opening the endpoint.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the endpoint can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that others can reach, without what keeps them out.
    #[error(
        "SQL endpoint: will not listen on {addr}, which other machines can reach, without {missing}: \
         give a user with a password and a TLS certificate with its key, or listen on 127.0.0.1"
    )]
    Exposed {
        /// The address.
        addr: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
    /// A user that nobody could log in as.
    #[error("SQL endpoint: user {name:?} {what}")]
    User {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The address can't be listened on.
    #[error(
        "SQL endpoint: can't listen on {addr}: {source} (is another program listening there? give another address)"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("SQL endpoint: TLS {path}: {what}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Threads or the spill folder can't be made.
    #[error("SQL endpoint: can't {operation}: {source}")]
    Start {
        /// What was tried.
        operation: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The lake can't be read.
    #[error("SQL endpoint: can't read the lake: {0}")]
    Lake(#[source] streamreel_lake::Error),
    /// The query engine can't be set up.
    #[error("SQL endpoint: can't set up the query engine: {0}")]
    Engine(#[source] DataFusionError),
}
