//! Settings: defaults < `streamreel.toml` < environment < flags, each value with where it came from.
//!
//! All defaults stand in one embedded file, `default.toml`; a key that it does not have is an error that names the nearest
//! one that it has. Parsing (layers of text) and resolving (typed [`Settings`], each in its range) are two steps.

mod layers;
mod ranges;
mod settings;

pub use layers::{Origin, Resolved, Sources, resolve};
pub use settings::{KeepPayload, Log, LogFormat, OpenPlay, SHORTEST_VACUUM_RETENTION, Settings};

/// Settings that are shown only as given or not.
const SECRETS: [&str; 2] = ["collector.tokens", "sql.password"];
/// So are properties of Kafka that have one of these in their names.
const SECRET_PROPERTIES: [&str; 6] = ["password", "secret", "key.pem", "jaas", "token", "oauthbearer.config"];

/// And settings of a store.
const SECRET_STORE_SETTINGS: [&str; 5] = ["secret", "token", "customer_key", "password", "proxy"];

/// Whether a setting is shown only as given or not.
pub fn is_secret(key: &str) -> bool {
    let has = |parts: &[&str]| parts.iter().any(|part| key.contains(part));
    SECRETS.contains(&key)
        || (key.starts_with("kafka.") && has(&SECRET_PROPERTIES))
        || (key.starts_with("s3.") && has(&SECRET_STORE_SETTINGS))
}

/// The text of all defaults, as `streamreel config --defaults` prints it.
pub const DEFAULTS: &str = include_str!("default.toml");

/// What is wrong with a configuration. All of it is the user's to mend: exit status 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` (or the home's `streamreel.toml`) can't be read.
    #[error("can't read the configuration {path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{origin} is not valid TOML: {source}")]
    Parse {
        /// Which layer.
        origin: Origin,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that there is not.
    #[error("{origin}: unknown setting `{key}`{}", nearest.as_ref().map_or_else(String::new, |n| format!("; did you mean `{n}`?")))]
    UnknownKey {
        /// Which layer.
        origin: Origin,
        /// The key as given.
        key: String,
        /// The key that looks most like it.
        nearest: Option<String>,
    },
    /// A value of another kind than the default's, or out of its range.
    #[error("{origin}: `{key}` {problem}")]
    BadValue {
        /// Which layer.
        origin: Origin,
        /// The key.
        key: String,
        /// What is wrong and what is expected.
        problem: String,
    },
}
