//! The four layers of text, laid over each other key by key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Value;

use super::{ConfigError, DEFAULTS, Settings, ranges};

/// Environment variables of settings are `STREAMREEL_<SECTION>_<KEY>`; these begin alike and are flags or, the last one, of the dbt
/// project under dbt Core.
const NOT_SETTINGS: [&str; 6] = [
    "STREAMREEL_HOME",
    "STREAMREEL_LOG",
    "STREAMREEL_CONFIG",
    "STREAMREEL_METADATA",
    "STREAMREEL_LAKE",
    "STREAMREEL_WAREHOUSE",
];
/// The sections whose keys are not ours: properties of librdkafka, which have dots in their names, and settings of the
/// object store's client.
const PROPERTIES: [&str; 2] = [DOTTED, "s3."];
const DOTTED: &str = "kafka.";
const ENV_PREFIX: &str = "STREAMREEL_";
/// A key further than this (Jaro-Winkler similarity, 0..1) from what was typed is no helpful suggestion.
const LIKE_ENOUGH: f64 = 0.7;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The embedded defaults.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
    /// A flag, as typed.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// What to lay over the defaults.
#[derive(Debug, Default)]
pub struct Sources {
    /// A configuration file that must exist.
    pub file: Option<PathBuf>,
    /// Environment variables, all of them.
    pub environment: Vec<(String, String)>,
    /// (flag as typed, key, value).
    pub flags: Vec<(String, String, String)>,
}

/// The settings that hold, and where each came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Typed values.
    pub settings: Settings,
    /// `section.key` -> (value as TOML, origin), in the order of the defaults' sections.
    pub values: BTreeMap<String, (Value, Origin)>,
}

/// Lays file, environment and flags over the defaults.
///
/// # Errors
/// An unreadable file, text that is no TOML, an unknown key, a value of the wrong kind or out of its range: [`ConfigError`], naming the layer.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigError> {
    let mut values = BTreeMap::new();
    for (key, value) in flatten(&parse(DEFAULTS, &Origin::Default)?) {
        values.insert(key, (value, Origin::Default));
    }
    if let Some(path) = &sources.file {
        let origin = Origin::File(path.clone());
        let text = read(path)?;
        for (key, value) in flatten(&parse(&text, &origin)?) {
            lay(&mut values, key, value, origin.clone())?;
        }
    }
    for (name, text) in &sources.environment {
        if NOT_SETTINGS.contains(&name.as_str()) {
            continue;
        }
        let Some(key) = name.strip_prefix(ENV_PREFIX) else { continue };
        let key = key.to_ascii_lowercase().replacen('_', ".", 1);
        lay_text(&mut values, key, text, Origin::Environment(name.clone()))?;
    }
    for (flag, key, text) in &sources.flags {
        lay_text(&mut values, key.clone(), text, Origin::Flag(flag.clone()))?;
    }
    let settings = typed(&values)?;
    in_range(&settings, &values)?;
    Ok(Resolved { settings, values })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn parse(text: &str, origin: &Origin) -> Result<toml::Table, ConfigError> {
    text.parse().map_err(|source| ConfigError::Parse { origin: origin.clone(), source: Box::new(source) })
}

fn flatten(table: &toml::Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(keys) if PROPERTIES.contains(&format!("{section}.").as_str()) => {
                // `sasl.mechanism = ...` is a table in a table.
                flat.extend(deeply(keys).into_iter().map(|(k, v)| (format!("{section}.{k}"), v)));
            }
            Value::Table(keys) => flat.extend(keys.iter().map(|(k, v)| (format!("{section}.{k}"), v.clone()))),
            other => flat.push((section.clone(), other.clone())),
        }
    }
    flat
}

/// All values of a table and of the tables in it, by dotted names.
fn deeply(table: &toml::Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => flat.extend(deeply(inner).into_iter().map(|(k, v)| (format!("{name}.{k}"), v))),
            other => flat.push((name.clone(), other.clone())),
        }
    }
    flat
}

type Values = BTreeMap<String, (Value, Origin)>;

/// Text from the environment or a flag takes the kind of the default.
fn lay_text(values: &mut Values, key: String, text: &str, origin: Origin) -> Result<(), ConfigError> {
    let value = match values.get(&key) {
        Some((Value::Integer(_), _)) => text.parse().ok().map(Value::Integer),
        Some((Value::Float(_), _)) => text.parse().ok().map(Value::Float),
        Some((Value::Boolean(_), _)) => text.parse().ok().map(Value::Boolean),
        Some((Value::Array(_), _)) => Some(list(text)),
        _ => None,
    };
    lay(values, key, value.unwrap_or_else(|| Value::String(text.to_owned())), origin)
}

/// `a,b` as a list of text; nothing as an empty one.
fn list(text: &str) -> Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
}

fn lay(values: &mut Values, key: String, value: Value, origin: Origin) -> Result<(), ConfigError> {
    if PROPERTIES.iter().any(|section| key.starts_with(section)) {
        let text = match value {
            Value::String(text) => text,
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
            other => {
                let problem = format!("is {} but must be text, a number, or true or false", other.type_str());
                return Err(ConfigError::BadValue { origin, key, problem });
            }
        };
        // The environment has no dots in names, and librdkafka no underscores.
        let key = if key.starts_with(DOTTED) { key.replace('_', ".") } else { key };
        values.insert(key, (Value::String(text), origin));
        return Ok(());
    }
    let Some((default, _)) = values.get(&key) else {
        return Err(ConfigError::UnknownKey { nearest: nearest(values, &key), origin, key });
    };
    let value = match (default, value) {
        (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
        (_, value) => value,
    };
    if default.same_type(&value) {
        values.insert(key, (value, origin));
        return Ok(());
    }
    let problem = format!("is {} but must be {}, like {default}", value.type_str(), default.type_str());
    Err(ConfigError::BadValue { origin, key, problem })
}

fn nearest(values: &Values, key: &str) -> Option<String> {
    values
        .keys()
        .map(|known| (strsim::jaro_winkler(known, key), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= LIKE_ENOUGH)
        .map(|(_, known)| known.clone())
}

/// Every value on its own first, so that an error names the key and the layer that gave it.
fn typed(values: &Values) -> Result<Settings, ConfigError> {
    let mut table = parse(DEFAULTS, &Origin::Default)?;
    for (key, (value, origin)) in values {
        let Some((section, name)) = key.split_once('.') else { continue };
        let Some(Value::Table(keys)) = table.get_mut(section) else { continue };
        keys.insert(name.to_owned(), value.clone());
        if *origin != Origin::Default {
            Settings::deserialize(table.clone()).map_err(|error| ConfigError::BadValue {
                origin: origin.clone(),
                key: key.clone(),
                problem: format!("= {value}: {}", error.message()),
            })?;
        }
    }
    Settings::deserialize(table)
        .map_err(|source| ConfigError::Parse { origin: Origin::Default, source: Box::new(source) })
}

/// The first value that is out of its range is an error that names it, its layer and the range.
fn in_range(settings: &Settings, values: &Values) -> Result<(), ConfigError> {
    for (key, expected) in ranges::expected(settings) {
        if let (Some(expected), Some((value, origin))) = (expected, values.get(key)) {
            let problem = format!("= {value}: {expected}");
            return Err(ConfigError::BadValue { origin: origin.clone(), key: key.to_owned(), problem });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn with(file: Option<&str>, environment: Pairs, flags: Pairs) -> Result<Resolved, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("streamreel.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        resolve(&Sources {
            file: file.map(|_| path),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            flags: flags.iter().map(|(k, v)| (format!("--set {k}={v}"), (*k).to_owned(), (*v).to_owned())).collect(),
        })
    }

    #[test]
    fn later_layers_win() {
        let file = "[process]\ncommit_interval = \"2s\"\ncommit_records = 7";
        let cases: [(Pairs, Pairs, u64, &str); 3] = [
            (&[], &[], 2, "streamreel.toml"),
            (&[("STREAMREEL_PROCESS_COMMIT_INTERVAL", "3s")], &[], 3, "environment"),
            (&[("STREAMREEL_PROCESS_COMMIT_INTERVAL", "3s")], &[("process.commit_interval", "4s")], 4, "flag"),
        ];
        for (environment, flags, seconds, origin) in cases {
            let resolved = with(Some(file), environment, flags).unwrap();
            assert_eq!(resolved.settings.process.commit_interval.as_secs(), seconds);
            assert_eq!(resolved.settings.process.commit_records, 7);
            assert!(resolved.values["process.commit_interval"].1.to_string().contains(origin));
        }
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let file = "[collector]\ncors_origins = [\"https://a.example\"]";
        let cases: [(Pairs, &[&str]); 3] = [
            (&[], &["https://a.example"]),
            (&[("STREAMREEL_COLLECTOR_CORS_ORIGINS", "https://b.example, *")], &["https://b.example", "*"]),
            (&[("STREAMREEL_COLLECTOR_CORS_ORIGINS", "")], &[]),
        ];
        for (environment, expected) in cases {
            assert_eq!(with(Some(file), environment, &[]).unwrap().settings.collector.cors_origins, expected);
        }
    }

    #[test]
    fn properties_of_kafka_are_taken_as_they_are() {
        let file = "[kafka]\nsecurity.protocol = \"SASL_SSL\"\nsasl.oauthbearer.token.endpoint.url = \"https://a\"\nlinger.ms = 7";
        let environment = [("STREAMREEL_KAFKA_SASL_PASSWORD", "a,b")];
        let resolved = with(Some(file), &environment, &[("kafka.compression.type", "none")]).unwrap();
        let expected = [
            ("compression.type", "none"),
            ("linger.ms", "7"),
            ("sasl.oauthbearer.token.endpoint.url", "https://a"),
            ("sasl.password", "a,b"),
            ("security.protocol", "SASL_SSL"),
        ];
        let has: Vec<(&str, &str)> = resolved.settings.kafka.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(has, expected);
        assert!(with(Some("[kafka]\nlinger.ms = [1]"), &[], &[]).is_err());
    }

    #[test]
    fn settings_of_a_store_are_taken_as_they_are() {
        let file = "[s3]\nendpoint = \"http://a\"\nallow_http = true";
        let environment = [("STREAMREEL_S3_SECRET_ACCESS_KEY", "a_b")];
        let resolved = with(Some(file), &environment, &[("s3.region", "here")]).unwrap();
        let expected =
            [("allow_http", "true"), ("endpoint", "http://a"), ("region", "here"), ("secret_access_key", "a_b")];
        let has: Vec<(&str, &str)> = resolved.settings.s3.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(has, expected);
        for (key, is_secret) in [
            ("s3.secret_access_key", true),
            ("s3.session_token", true),
            ("s3.sse_customer_key_base64", true),
            ("s3.endpoint", false),
            ("lake.url", false),
        ] {
            assert_eq!(super::super::is_secret(key), is_secret, "{key}");
        }
    }

    #[test]
    fn errors_name_layer_key_and_remedy() {
        let cases: [(Option<&str>, Pairs, Pairs, &str); 9] = [
            (None, &[], &[("serve.http", "8080")], "`serve.http` = \"8080\": expected an address and a port"),
            (Some("[collector]\ntokens = \"one\""), &[], &[], "must be array"),
            (Some("[proces]\ncommit_interval = 1"), &[], &[], "did you mean `process.commit_interval`"),
            (None, &[("STREAMREEL_VIEW_GAPS", "1m")], &[], "did you mean `view.gap`"),
            (None, &[], &[("view.gap", "soon")], "view.gap"),
            (None, &[], &[("bronze.keep_payload", "some")], "rejected"),
            (Some("[log]\npartitions = \"four\""), &[], &[], "must be integer"),
            (
                None,
                &[],
                &[("upkeep.vacuum_retention", "59m")],
                "`upkeep.vacuum_retention` = \"59m\": expected 1h or more",
            ),
            (Some("= 3"), &[], &[], "not valid TOML"),
        ];
        for (file, environment, flags, expected) in cases {
            let error = with(file, environment, flags).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
    }

    /// Whether a value is a number, a time or a size.
    fn has_order(value: &Value) -> bool {
        match value {
            Value::Integer(_) | Value::Float(_) => true,
            Value::String(text) => {
                humantime::parse_duration(text).is_ok() || text.parse::<bytesize::ByteSize>().is_ok()
            }
            _ => false,
        }
    }

    #[test]
    fn whatever_has_an_order_has_a_range() {
        let Resolved { settings, values } = with(None, &[], &[]).unwrap();
        let mut ranged: Vec<&str> = ranges::expected(&settings).into_iter().map(|(key, _)| key).collect();
        ranged.sort_unstable();
        let ordered: Vec<&str> =
            values.iter().filter(|(_, (v, _))| has_order(v)).map(|(key, _)| key.as_str()).collect();
        assert_eq!(ranged, ordered);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        // Key, values that are refused, the range, values that are at its ends.
        let cases: [(&str, &[&str], &str, &[&str]); 29] = [
            ("log.timeout", &["0s", "999ms", "25h"], "expected 1s to 1day", &["1s", "1day"]),
            ("log.partitions", &["0", "10001"], "expected 1 to 10000", &["1", "10000"]),
            ("log.retention", &["1001years"], "expected 1000years or less", &["0s", "1000years"]),
            ("log.retention_size", &["1025PiB"], "or less", &["0B", "1024PiB"]),
            ("lake.timeout", &["0s", "25h"], "expected 1s to 1day", &["1s"]),
            ("lake.lease_expiry", &["0s", "500ms", "25h"], "expected 1s to 1day", &["1s"]),
            ("process.commit_interval", &["0s", "9ms"], "expected 10ms or more", &["10ms"]),
            ("process.topics_interval", &["0s"], "expected 10ms or more", &["10ms"]),
            ("process.commit_records", &["0"], "expected 1 or more", &["1"]),
            ("process.dedupe_window", &["1001years"], "expected 1000years or less", &["0s"]),
            ("process.dedupe_max_entries", &["0"], "expected 1 or more", &["1"]),
            ("view.gap", &["0s"], "expected 1s or more", &["1s"]),
            ("view.max_unproven", &["0s"], "expected 1s or more", &["1s"]),
            ("view.engaged_seconds", &["nan", "-4", "inf"], "expected 0 to 1000000", &["0", "1000000"]),
            ("view.engaged_ratio", &["7", "-0.1", "nan"], "expected 0 to 1", &["0", "1"]),
            ("view.completion_ratio", &["-1", "5", "nan"], "expected 0 to 1", &["0", "1"]),
            ("build.every", &["0s"], "expected 1s or more", &["1s"]),
            ("build.memory", &["10", "63MiB"], "expected 64.0 MiB or more", &["64MiB"]),
            ("build.spool_memory", &["0B"], "expected 1.0 MiB or more", &["1MiB"]),
            ("upkeep.every", &["0s"], "expected 1s or more", &["1s"]),
            ("upkeep.vacuum_retention", &["0s", "59m"], "expected 1h or more, as younger files", &["1h"]),
            ("upkeep.optimize_target", &["0B"], "expected 1.0 MiB or more", &["1MiB"]),
            ("query.memory", &["10"], "expected 64.0 MiB or more", &["64MiB"]),
            ("serve.max_connections", &["0", "1000001"], "expected 1 to 1000000", &["1"]),
            ("collector.memory", &["0B"], "expected 1.0 MiB or more", &["1MiB"]),
            ("sql.statement_timeout", &["25days"], "expected 0s to 24days", &["0s", "24days"]),
            ("sql.query_memory", &["0B"], "expected 32.0 MiB or more", &["32MiB"]),
            ("sql.memory", &["0B"], "expected 32.0 MiB or more", &["32MiB"]),
            ("sql.max_connections", &["0"], "expected 1 to 1000000", &["1"]),
        ];
        let ranged = ranges::expected(&with(None, &[], &[]).unwrap().settings);
        assert!(ranged.iter().all(|(key, _)| cases.iter().any(|case| case.0 == *key)), "{ranged:?}");
        for (key, refused, range, accepted) in cases {
            for value in refused {
                let error = with(None, &[], &[(key, *value)]).unwrap_err().to_string();
                let named = format!("flag --set {key}={value}: `{key}` = ");
                assert!(error.starts_with(&named) && error.contains(range), "{error:?} does not say {range:?}");
            }
            for value in accepted {
                with(None, &[], &[(key, *value)]).unwrap();
            }
        }
    }

    #[test]
    fn every_layer_is_checked_and_only_what_holds() {
        let file = "[build]\nevery = \"0s\"";
        let error = with(Some(file), &[], &[]).unwrap_err().to_string();
        assert!(error.contains("streamreel.toml: `build.every` = \"0s\": expected 1s or more"), "{error}");
        let error = with(None, &[("STREAMREEL_VIEW_GAP", "0s")], &[]).unwrap_err().to_string();
        assert!(error.starts_with("environment STREAMREEL_VIEW_GAP: `view.gap`"), "{error}");
        assert!(with(Some(file), &[], &[("build.every", "1m")]).is_ok());
    }
}
