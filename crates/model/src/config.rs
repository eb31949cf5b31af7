//! A model's configuration: the project's tree, then its yml, then its SQL; the nearest wins, tags add up.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::error::{Error, Place, Result, nearest};
use crate::jinja::{Jinja, Scope};
use crate::yaml::{Kind, Node};

/// How a model's rows come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Materialized {
    /// Derived as a whole in every build.
    Table,
    /// Only the groups that changed are derived again.
    Incremental,
    /// Not stored: a common table expression of the statements that refer to it. A `view` outside of gold is the same.
    Ephemeral,
}

/// The configuration that the runner acts on.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) materialized: Materialized,
    pub(crate) changed_by: Vec<String>,
    pub(crate) partition_by: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) enabled: bool,
    pub(crate) schema: Option<String>,
    pub(crate) alias: Option<String>,
    /// Everything that was configured and could be evaluated, for `config.get`.
    pub(crate) all: BTreeMap<String, Value>,
}

/// Keys that the runner acts on. Others, such as an adapter's own, are left to the engines that know them.
const KEYS: [&str; 8] = ["materialized", "changed_by", "partition_by", "tags", "enabled", "schema", "alias", "meta"];
const REFUSED: [&str; 5] = ["pre_hook", "post_hook", "pre-hook", "post-hook", "sql_header"];
/// Keys of dbt and its adapters that look like a slip of one above but are none.
const OTHERS: [&str; 3] = ["tag", "schemas", "unique_key"];

/// Values by key with where they were given; later layers overwrite earlier ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    values: BTreeMap<String, (Value, Place)>,
    tags: Vec<String>,
}

impl Layers {
    /// Adds one value.
    pub(crate) fn set(&mut self, key: &str, value: Value, at: Place) -> Result<()> {
        if REFUSED.contains(&key) {
            return Err(Error::unsupported(
                &at,
                format!("config `{key}`: hooks would write past the build"),
                KEYS.join(", "),
            ));
        }
        if !KEYS.contains(&key)
            && !OTHERS.contains(&key)
            && let Some(near) = nearest(key, KEYS).filter(|near| strsim::damerau_levenshtein(near, key) <= 2)
        {
            let found = format!("config `{key}` is not known (did you mean `{near}`?)");
            return Err(Error::unsupported(&at, found, KEYS.join(", ")));
        }
        if key == "tags" {
            for tag in texts(&value) {
                if !self.tags.contains(&tag) {
                    self.tags.push(tag);
                }
            }
        }
        self.values.insert(key.to_owned(), (value, at));
        Ok(())
    }

    /// Adds a YAML value; its templates are rendered if the runner acts on the key.
    pub(crate) fn set_node(&mut self, key: &str, node: &Node, file: &str, jinja: &Jinja, scope: &Scope) -> Result<()> {
        let at = Place::new(file, node.line);
        let value = if KEYS.contains(&key) { render(node, file, jinja, scope)? } else { node.value() };
        self.set(key, value, at)
    }

    /// What `config.get` may see so far.
    pub(crate) fn visible(&self) -> BTreeMap<String, Value> {
        self.values.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    }

    /// The configuration, checked.
    pub(crate) fn resolve(self, model: &str, file: &str) -> Result<Config> {
        let get = |key: &str| self.values.get(key).filter(|(value, _)| !value.is_none() && !value.is_undefined());
        let at = |key: &str| get(key).map_or_else(|| Place::new(file, 0), |(_, at)| at.clone());
        let materialized = match get("materialized").map(|(value, _)| value.to_string()).as_deref() {
            None | Some("table") => Materialized::Table,
            Some("incremental") => Materialized::Incremental,
            Some("ephemeral" | "view") => Materialized::Ephemeral,
            Some(other) => {
                let found = format!("{model}: materialized `{other}` is not known");
                return Err(Error::unsupported(
                    &at("materialized"),
                    found,
                    "table, incremental, ephemeral, view (not in gold)",
                ));
            }
        };
        let list = |key: &str| get(key).map(|(value, _)| texts(value)).unwrap_or_default();
        let text = |key: &str| get(key).map(|(value, _)| value.to_string());
        let config = Config {
            materialized,
            changed_by: list("changed_by"),
            partition_by: list("partition_by"),
            tags: self.tags.clone(),
            enabled: get("enabled").is_none_or(|(value, _)| value.is_true()),
            schema: text("schema"),
            alias: text("alias"),
            all: self.visible(),
        };
        if config.materialized == Materialized::Incremental && config.changed_by.is_empty() {
            let found = format!("{model}: materialized `incremental` without `changed_by`");
            let supported =
                "changed_by: a list of columns of silver.changes (video_id, region, view_date) that the model also has";
            return Err(Error::unsupported(&at("materialized"), found, supported));
        }
        let gold = model.starts_with("gold__");
        if gold && get("materialized").is_some_and(|(value, _)| value.as_str() == Some("view")) {
            let found =
                format!("{model}: a view in gold could not be read by other engines, nor be published with the rest");
            return Err(Error::unsupported(
                &at("materialized"),
                found,
                "table, incremental; ephemeral for a step in between",
            ));
        }
        if !gold && config.materialized != Materialized::Ephemeral {
            let found = format!(
                "{model}: only gold is written here; bronze and silver belong to `process` and `build --layer silver`"
            );
            return Err(Error::unsupported(
                &at("materialized"),
                found,
                "ephemeral or view, or a model named gold__...",
            ));
        }
        Ok(config)
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Vec::new(),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter().map(|items| items.map(|item| item.to_string()).collect()).unwrap_or_default()
        }
        _ => vec![value.to_string()],
    }
}

fn render(node: &Node, file: &str, jinja: &Jinja, scope: &Scope) -> Result<Value> {
    match &node.kind {
        Kind::Text(text) => Ok(jinja.value(&Place::new(file, node.line), text, scope)?.0),
        Kind::List(items) => {
            let items: Vec<Value> = items.iter().map(|item| render(item, file, jinja, scope)).collect::<Result<_>>()?;
            Ok(Value::from(items))
        }
        _ => Ok(node.value()),
    }
}

/// Adds what the tree `models:` of dbt_project.yml says about a model in `folders`.
pub(crate) fn from_tree(
    layers: &mut Layers,
    tree: &Node,
    path: &[&str],
    file: &str,
    jinja: &Jinja,
    scope: &Scope,
) -> Result<()> {
    for (key, node) in tree.entries() {
        if let Some(name) = key.name.strip_prefix('+') {
            layers.set_node(name, node, file, jinja, scope)?;
        } else if KEYS.contains(&key.name.as_str()) && !matches!(node.kind, Kind::Map(_)) {
            layers.set_node(&key.name, node, file, jinja, scope)?;
        }
    }
    let Some((next, rest)) = path.split_first() else { return Ok(()) };
    for (key, node) in tree.entries() {
        if key.name == *next {
            from_tree(layers, node, rest, file, jinja, scope)?;
        }
    }
    Ok(())
}
