//! What `ref`, `source` and `this` give: a name in SQL with its parts.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

/// A relation. It renders as its name in SQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// A stored table, `gold.drop_off`.
    Stored {
        /// The layer.
        schema: String,
        /// The table.
        name: String,
    },
    /// A query that stands in a common table expression of the statement that uses it.
    Inlined(String),
}

impl Relation {
    pub(crate) fn stored(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Relation::Stored { schema: schema.into(), name: name.into() }
    }

    fn schema(&self) -> &str {
        match self {
            Relation::Stored { schema, .. } => schema,
            Relation::Inlined(_) => "",
        }
    }

    fn identifier(&self) -> String {
        match self {
            Relation::Stored { name, .. } => name.clone(),
            Relation::Inlined(model) => cte_name(model),
        }
    }
}

/// The name of the common table expression that stands for a model, as dbt names it.
pub(crate) fn cte_name(model: &str) -> String {
    format!("__dbt__cte__{model}")
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Stored { schema, name } => write!(f, "{}.{}", quoted(schema), quoted(name)),
            Relation::Inlined(model) => f.write_str(&quoted(&cte_name(model))),
        }
    }
}

/// A name as SQL takes it: plain where it can be.
pub(crate) fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

impl Object for Relation {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "schema" => Some(Value::from(self.schema())),
            "identifier" | "name" | "table" => Some(Value::from(self.identifier())),
            "database" => Some(Value::from(())),
            "is_cte" => Some(Value::from(matches!(**self, Relation::Inlined(_)))),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["schema", "identifier", "name", "table", "database", "is_cte"])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
