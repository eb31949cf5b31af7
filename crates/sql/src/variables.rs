//! A session's settings: what SET, SHOW and the start-up message speak of.

use std::{collections::BTreeMap, time::Duration};

use datafusion_postgres::pgwire::types::format::FormatOptions;

use crate::failure::{Failure, Outcome, code};

/// Version of PostgreSQL that clients are told, so that they send what that version understands. psql warns of a server that is
/// newer than itself, so it is one that all psql still in use know.
pub(crate) const SERVER_VERSION: &str = "15.12";
/// The same as a number.
const SERVER_VERSION_NUMBER: &str = "150012";
/// Longest value that is kept, in bytes.
const LONGEST_VALUE: usize = 1024;
/// Most settings of the client's own (`name.setting`) that are kept.
const MOST_CUSTOM: usize = 64;
/// Schemas that unqualified names are looked up in.
const SEARCH_PATH: &str = "gold, silver, bronze, public";

/// How a value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anything.
    Text,
    /// `on` or `off`.
    Switch,
    /// A whole number.
    Number,
    /// Milliseconds, or with a unit; 0 is no limit.
    Duration,
    /// One of these, in any case.
    OneOf(&'static [&'static str]),
    /// Can't be set.
    Fixed,
}

struct Known {
    /// Name as it is shown.
    name: &'static str,
    default: &'static str,
    kind: Kind,
    /// Whether clients are told of it unasked.
    reported: bool,
}

const fn known(name: &'static str, default: &'static str, kind: Kind) -> Known {
    Known { name, default, kind, reported: false }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind) -> Known {
    Known { name, default, kind, reported: true }
}

/// The settings that clients ask for or change. Those of PostgreSQL that mean nothing here are kept for the asking.
const KNOWN: &[Known] = &[
    reported("application_name", "", Kind::Text),
    known("array_nulls", "on", Kind::Switch),
    known("backslash_quote", "safe_encoding", Kind::Text),
    known("bytea_output", "hex", Kind::OneOf(&["hex", "escape"])),
    reported("client_encoding", "UTF8", Kind::OneOf(&["UTF8", "UTF-8", "UNICODE"])),
    known("client_min_messages", "notice", Kind::Text),
    reported("DateStyle", "ISO, MDY", Kind::Text),
    known("default_transaction_isolation", "repeatable read", Kind::Text),
    reported("default_transaction_read_only", "on", Kind::Switch),
    known("enable_seqscan", "on", Kind::Switch),
    known("escape_string_warning", "on", Kind::Switch),
    known("extra_float_digits", "1", Kind::Number),
    known("geqo", "on", Kind::Switch),
    known("idle_in_transaction_session_timeout", "0", Kind::Duration),
    known("idle_session_timeout", "0", Kind::Duration),
    reported("in_hot_standby", "off", Kind::Fixed),
    reported("integer_datetimes", "on", Kind::Fixed),
    reported("IntervalStyle", "postgres", Kind::OneOf(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"])),
    reported("is_superuser", "off", Kind::Fixed),
    known("jit", "off", Kind::Switch),
    known("lc_collate", "C", Kind::Fixed),
    known("lc_ctype", "C", Kind::Fixed),
    known("lc_messages", "C", Kind::Text),
    known("lc_monetary", "C", Kind::Text),
    known("lc_numeric", "C", Kind::Text),
    known("lc_time", "C", Kind::Text),
    known("lock_timeout", "0", Kind::Duration),
    known("max_identifier_length", "63", Kind::Fixed),
    known("max_index_keys", "32", Kind::Fixed),
    known("row_security", "on", Kind::Switch),
    reported("scram_iterations", "4096", Kind::Fixed),
    known("search_path", SEARCH_PATH, Kind::Text),
    reported("server_encoding", "UTF8", Kind::Fixed),
    reported("server_version", SERVER_VERSION, Kind::Fixed),
    known("server_version_num", SERVER_VERSION_NUMBER, Kind::Fixed),
    reported("session_authorization", "", Kind::Fixed),
    reported("standard_conforming_strings", "on", Kind::OneOf(&["on"])),
    known("statement_timeout", "0", Kind::Duration),
    reported("TimeZone", "UTC", Kind::Text),
    known("transaction_deferrable", "off", Kind::Switch),
    known("transaction_isolation", "repeatable read", Kind::Text),
    known("transaction_read_only", "on", Kind::Switch),
    known("work_mem", "4MB", Kind::Text),
    known("xmlbinary", "base64", Kind::Text),
];

/// What SET did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Nothing that the client must be told.
    Quietly,
    /// The client is told this setting's new value: its name as shown.
    Reported(&'static str),
    /// It stays as it was, for this reason.
    Not(String),
}

/// The settings of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variables {
    /// By name in lower case.
    values: BTreeMap<String, String>,
    /// What a setting goes back to, where that is not PostgreSQL's default.
    defaults: BTreeMap<String, String>,
}

impl Variables {
    /// The defaults, with the server's own time-outs.
    pub(crate) fn new(user: &str, statement: Option<Duration>, idle_in_transaction: Option<Duration>) -> Self {
        let text = |duration: Option<Duration>| shown(duration.unwrap_or_default());
        let defaults = BTreeMap::from([
            ("statement_timeout".to_owned(), text(statement)),
            ("idle_in_transaction_session_timeout".to_owned(), text(idle_in_transaction)),
            ("session_authorization".to_owned(), user.to_owned()),
        ]);
        Self { values: BTreeMap::new(), defaults }
    }

    /// A setting's value; `None`: there is no such setting.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let own = self.values.get(&name).or_else(|| self.defaults.get(&name));
        own.map(String::as_str).or_else(|| find(&name).map(|known| known.default))
    }

    /// A setting's name as it is shown.
    pub(crate) fn display_name(name: &str) -> String {
        find(name).map_or_else(|| name.to_ascii_lowercase(), |known| known.name.to_owned())
    }

    /// All settings: name as shown, value.
    pub(crate) fn all(&self) -> Vec<(String, String)> {
        let own = self.values.keys().filter(|name| find(name).is_none()).map(String::as_str);
        let names = KNOWN.iter().map(|known| known.name).chain(own);
        names.map(|name| (name.to_owned(), self.get(name).unwrap_or_default().to_owned())).collect()
    }

    /// The settings that a client is told when it connects: name as shown, value.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().filter(|known| known.reported).map(|known| (known.name, self.get(known.name).unwrap_or_default()))
    }

    /// Sets a setting; `None`: to its default.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Outcome<Changed> {
        let key = name.to_ascii_lowercase();
        let Some(known) = find(&key) else { return self.set_custom(&key, value) };
        let Some(value) = value else {
            self.values.remove(&key);
            return Ok(told(known));
        };
        let value = checked(known, value)?;
        if let Some(reason) = kept_as_is(known.name, &value) {
            return Ok(Changed::Not(reason));
        }
        self.values.insert(key, value);
        Ok(told(known))
    }

    fn set_custom(&mut self, name: &str, value: Option<&str>) -> Outcome<Changed> {
        if !name.contains('.') {
            let what = format!("unrecognized configuration parameter \"{name}\"");
            return Err(Failure::new(code::UNDEFINED_OBJECT, what));
        }
        let Some(value) = value else {
            self.values.remove(name);
            return Ok(Changed::Quietly);
        };
        let custom = self.values.keys().filter(|name| find(name).is_none()).count();
        if custom >= MOST_CUSTOM && !self.values.contains_key(name) {
            let what = format!("a session keeps at most {MOST_CUSTOM} settings of its own");
            return Err(Failure::new(code::CONFIGURATION_LIMIT, what));
        }
        self.values.insert(short_enough(name, name)?.to_owned(), short_enough(name, value)?.to_owned());
        Ok(Changed::Quietly)
    }

    /// Sets all settings to their defaults.
    pub(crate) fn reset(&mut self) {
        self.values.clear();
    }

    /// How long a statement may run.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        self.duration("statement_timeout")
    }

    /// How long a session may be idle inside a transaction.
    pub(crate) fn idle_in_transaction_timeout(&self) -> Option<Duration> {
        self.duration("idle_in_transaction_session_timeout")
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        self.get(name).and_then(parse_duration).filter(|duration| !duration.is_zero())
    }

    /// Schemas that an unqualified name is looked up in, in order.
    pub(crate) fn search_path(&self) -> Vec<String> {
        let path = self.get("search_path").unwrap_or(SEARCH_PATH);
        let names = path.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        names.filter(|name| !name.is_empty() && name != "$user").collect()
    }

    /// How values are written as text.
    pub(crate) fn format(&self) -> FormatOptions {
        let get = |name: &str| self.get(name).unwrap_or_default().to_owned();
        let mut format = FormatOptions::default();
        format.date_style = get("datestyle");
        format.interval_style = get("intervalstyle");
        format.bytea_output = get("bytea_output");
        format.extra_float_digits = get("extra_float_digits").parse().unwrap_or(1);
        format
    }
}

fn find(name: &str) -> Option<&'static Known> {
    let name = if name.eq_ignore_ascii_case("names") { "client_encoding" } else { name };
    KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

fn told(known: &Known) -> Changed {
    if known.reported { Changed::Reported(known.name) } else { Changed::Quietly }
}

fn checked(known: &Known, value: &str) -> Outcome<String> {
    let wrong = || {
        let what = format!("invalid value for parameter \"{}\": \"{value}\"", known.name);
        Failure::new(code::INVALID_PARAMETER, what)
    };
    short_enough(known.name, value)?;
    match known.kind {
        Kind::Text if known.name == "DateStyle" => date_style(value).ok_or_else(wrong),
        Kind::Text => Ok(value.to_owned()),
        Kind::Switch => switch(value).map(str::to_owned).ok_or_else(wrong),
        Kind::Number => value.parse::<i8>().map(|number| number.to_string()).map_err(|_| wrong()),
        Kind::Duration => parse_duration(value).map(shown).ok_or_else(wrong),
        Kind::OneOf(all) if all.iter().any(|one| one.eq_ignore_ascii_case(value)) => match known.name {
            "client_encoding" => Ok("UTF8".to_owned()),
            _ => Ok(value.to_ascii_lowercase()),
        },
        Kind::OneOf(all) => Err(wrong().hint(format!("It can be {}.", all.join(", ")))),
        Kind::Fixed => {
            let what = format!("parameter \"{}\" cannot be changed", known.name);
            Err(Failure::new("55P02", what))
        }
    }
}

fn short_enough<'a>(name: &str, value: &'a str) -> Outcome<&'a str> {
    if value.len() <= LONGEST_VALUE {
        return Ok(value);
    }
    let name = &name[..name.floor_char_boundary(64)];
    let what = format!("the value of parameter \"{name}\" is longer than {LONGEST_VALUE} bytes");
    Err(Failure::new(code::INVALID_PARAMETER, what))
}

/// Why a setting stays as it is, whatever it is set to.
fn kept_as_is(name: &str, value: &str) -> Option<String> {
    let utc = ["UTC", "GMT", "ETC/UTC", "Z", "0", "+00:00", "DEFAULT", "LOCAL"];
    match name {
        "TimeZone" if utc.contains(&value.to_ascii_uppercase().as_str()) => Some(String::new()),
        "TimeZone" => Some("times are shown in UTC; TimeZone stays UTC".to_owned()),
        "default_transaction_read_only" | "transaction_read_only" if value == "off" => {
            Some("transactions stay read-only".to_owned())
        }
        "transaction_isolation" | "default_transaction_isolation" => Some(String::new()),
        _ => None,
    }
}

/// `ISO, MDY` and so on, given in parts and in any order; the part that is not given stays as in the default.
fn date_style(value: &str) -> Option<String> {
    let (mut style, mut order) = ("ISO", "MDY");
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.to_ascii_uppercase().as_str() {
            "ISO" | "DEFAULT" => style = "ISO",
            "SQL" => style = "SQL",
            "POSTGRES" => style = "Postgres",
            "GERMAN" => style = "German",
            "MDY" | "US" | "NONEURO" | "NONEUROPEAN" => order = "MDY",
            "DMY" | "EURO" | "EUROPEAN" => order = "DMY",
            "YMD" => order = "YMD",
            _ => return None,
        }
    }
    Some(format!("{style}, {order}"))
}

fn switch(value: &str) -> Option<&'static str> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some("on"),
        "off" | "false" | "no" | "0" | "f" | "n" => Some("off"),
        _ => None,
    }
}

/// A number of milliseconds, or a number with a unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "" | "ms" => 0.001,
        "us" => 0.000_001,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok().filter(|duration| duration.as_millis() <= i32::MAX as u128)
}

fn shown(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0".to_owned(),
        ms if ms % 60_000 == 0 => format!("{}min", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::new("ann", Some(Duration::from_secs(300)), None)
    }

    #[test]
    fn values_are_checked_and_shown_as_postgresql_shows_them() {
        let cases = [
            ("statement_timeout", "1500", Ok("1500ms")),
            ("STATEMENT_TIMEOUT", "2min", Ok("2min")),
            ("statement_timeout", "0", Ok("0")),
            ("statement_timeout", "-1", Err("22023")),
            ("statement_timeout", "soon", Err("22023")),
            ("client_encoding", "unicode", Ok("UTF8")),
            ("client_encoding", "LATIN1", Err("22023")),
            ("DateStyle", "german", Ok("German, MDY")),
            ("DateStyle", "mars", Err("22023")),
            ("extra_float_digits", "3", Ok("3")),
            ("jit", "FALSE", Ok("off")),
            ("TimeZone", "Europe/Berlin", Ok("UTC")),
            ("transaction_read_only", "off", Ok("on")),
            ("server_version", "1", Err("55P02")),
            ("no_such_thing", "1", Err("42704")),
            ("my.own", "1", Ok("1")),
        ];
        for (name, value, expected) in cases {
            let mut variables = variables();
            let set = variables.set(name, Some(value)).map(|_| variables.get(name).unwrap());
            assert_eq!(
                set.as_deref().map_err(|failure| failure.code),
                expected.as_deref().map_err(|code| *code),
                "{name}"
            );
        }
    }

    #[test]
    fn a_reset_goes_back_to_the_servers_own_default() {
        let mut variables = variables();
        assert_eq!(variables.statement_timeout(), Some(Duration::from_secs(300)));
        variables.set("statement_timeout", Some("0")).unwrap();
        assert_eq!(variables.statement_timeout(), None);
        variables.set("statement_timeout", None).unwrap();
        assert_eq!(variables.get("statement_timeout"), Some("5min"));
        variables.set("search_path", Some("\"$user\", silver")).unwrap();
        assert_eq!(variables.search_path(), ["silver"]);
        variables.reset();
        assert_eq!(variables.search_path(), ["gold", "silver", "bronze", "public"]);
    }

    #[test]
    fn a_session_keeps_a_bounded_number_of_its_own_settings() {
        let mut variables = variables();
        for n in 0..MOST_CUSTOM {
            variables.set(&format!("my.n{n}"), Some("x")).unwrap();
        }
        assert_eq!(variables.set("my.more", Some("x")).unwrap_err().code, "53400");
        assert_eq!(variables.set("my.n0", Some(&"x".repeat(5000))).unwrap_err().code, "22023");
    }
}
