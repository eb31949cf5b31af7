//! `config`: the settings that hold, and where each came from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::cli::Config;
use crate::config::{DEFAULTS, is_secret};
use crate::failure::Outcome;
use crate::home::Home;

#[derive(Serialize)]
struct Setting<'a> {
    value: Cow<'a, toml::Value>,
    from: String,
}

/// Prints them.
pub fn run(home: &Home, args: &Config) -> Outcome {
    if args.defaults {
        print!("{DEFAULTS}");
        return Ok(());
    }
    let settings: BTreeMap<&str, Setting> = home
        .resolved
        .values
        .iter()
        .map(|(key, (value, origin))| (key.as_str(), Setting { value: shown(key, value), from: origin.to_string() }))
        .collect();
    home.printer.result(&settings, |settings| {
        let mut text = String::new();
        let mut section = "";
        for (key, setting) in settings {
            let (its_section, name) = key.split_once('.').unwrap_or(("", key));
            if its_section != section {
                let _ = writeln!(text, "{}[{its_section}]", if section.is_empty() { "" } else { "\n" });
                section = its_section;
            }
            let line = format!("{name} = {}", setting.value);
            let _ = writeln!(text, "{line:<36}  # {}", setting.from);
        }
        text
    })
}

/// A secret only as whether there is one.
fn shown<'a>(key: &str, value: &'a toml::Value) -> Cow<'a, toml::Value> {
    let is_given = match value {
        toml::Value::String(text) => !text.is_empty(),
        toml::Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    if is_secret(key) && is_given {
        return Cow::Owned(toml::Value::String("(secret)".to_owned()));
    }
    Cow::Borrowed(value)
}
