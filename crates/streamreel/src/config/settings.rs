//! The typed settings. What each means stands beside its default, in `default.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The least `upkeep.vacuum_retention`, as upkeep runs beside processors: beside writers, a vacuum with less than this could take
/// files that they have written and not committed yet.
pub const SHORTEST_VACUUM_RETENTION: Duration = Duration::from_secs(3600);

/// All settings, by section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Settings {
    pub log: Log,
    pub kafka: BTreeMap<String, String>,
    pub lake: Lake,
    pub s3: BTreeMap<String, String>,
    pub process: Process,
    pub bronze: Bronze,
    pub view: View,
    pub build: Build,
    pub upkeep: Upkeep,
    pub query: Query,
    pub serve: Serve,
    pub collector: Collector,
    pub sql: Sql,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Log {
    pub url: String,
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    pub partitions: u32,
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    pub retention_size: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Lake {
    pub url: String,
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    #[serde(with = "humantime_serde")]
    pub lease_expiry: Duration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Process {
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    #[serde(with = "humantime_serde")]
    pub topics_interval: Duration,
    pub commit_records: usize,
    #[serde(with = "humantime_serde")]
    pub dedupe_window: Duration,
    pub dedupe_max_entries: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Bronze {
    pub keep_payload: KeepPayload,
}

/// Whose original bytes bronze keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepPayload {
    /// Of records that are not clean.
    Rejected,
    /// Of every record.
    All,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct View {
    #[serde(with = "humantime_serde")]
    pub gap: Duration,
    #[serde(with = "humantime_serde")]
    pub max_unproven: Duration,
    pub engaged_seconds: f64,
    pub engaged_ratio: f64,
    pub completion_ratio: f64,
    pub open_play: OpenPlay,
}

/// Where a play ends that nothing closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "described in default.toml")]
pub enum OpenPlay {
    Evidence,
    Elapsed,
    Drop,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Build {
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    pub memory: ByteSize,
    pub spool_memory: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Upkeep {
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    #[serde(with = "humantime_serde")]
    pub vacuum_retention: Duration,
    pub optimize_target: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Query {
    pub memory: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Serve {
    #[serde(deserialize_with = "address")]
    pub http: SocketAddr,
    pub allow_remote: bool,
    pub hosts: Vec<String>,
    pub max_connections: usize,
    pub log_format: LogFormat,
}

/// How the server's log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Collector {
    pub enabled: bool,
    pub cors_origins: Vec<String>,
    pub tokens: Vec<String>,
    pub memory: ByteSize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is described in default.toml")]
pub struct Sql {
    pub enabled: bool,
    #[serde(deserialize_with = "address")]
    pub addr: SocketAddr,
    pub user: String,
    pub password: String,
    pub tls_cert: String,
    pub tls_key: String,
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    pub query_memory: ByteSize,
    pub memory: ByteSize,
    pub max_connections: usize,
}

/// An address with its port; `localhost` is the one of this machine that always is.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let numeric = text.strip_prefix("localhost:").map_or_else(|| text.clone(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| D::Error::custom("expected an address and a port, as 127.0.0.1:8080"))
}
