//! YAML as a tree that remembers lines, so that an error about a key can say where it stands.

use minijinja::Value;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::error::{Error, Place, Result, nearest};

/// A value and the line it starts on.
#[derive(Debug, Clone)]
pub struct Node {
    /// Line, from 1.
    pub line: usize,
    /// The value.
    pub kind: Kind,
}

/// The kinds of YAML value. Dates and times stay text.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order written; a key has its line.
    Map(Vec<(Key, Node)>),
}

/// A mapping's key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Line, from 1.
    pub line: usize,
    /// The key.
    pub name: String,
}

/// Parses one document. An empty file is [`Kind::Null`].
///
/// # Errors
/// [`Error::ParseYaml`] with the place.
pub fn parse(file: &str, text: &str) -> Result<Node> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node { line: 1, kind: Kind::Null });
    }
    serde_saphyr::from_str(text).map_err(|error| Error::ParseYaml {
        at: Place::new(file, error.location().map_or(0, |location| location.line() as usize)),
        detail: error.without_snippet().to_string(),
    })
}

impl Node {
    /// The value under `key` of a mapping; `None` too when it is null.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.name == key).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// A mapping's entries; none of anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A scalar as text; `None` for null, lists and mappings.
    pub fn text(&self) -> Option<String> {
        match &self.kind {
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Int(value) => Some(value.to_string()),
            Kind::Float(value) => Some(value.to_string()),
            Kind::Text(value) => Some(value.clone()),
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// The text, or an error that says what was expected.
    pub fn require_text(&self, file: &str, what: &str) -> Result<String> {
        self.text().ok_or_else(|| self.wrong(file, what, "text"))
    }

    /// A list of texts; one text counts as a list of one.
    pub fn texts(&self, file: &str, what: &str) -> Result<Vec<String>> {
        match &self.kind {
            Kind::Null => Ok(Vec::new()),
            Kind::List(items) => items.iter().map(|item| item.require_text(file, what)).collect(),
            _ => Ok(vec![self.require_text(file, what)?]),
        }
    }

    /// A list's items.
    pub fn items(&self, file: &str, what: &str) -> Result<&[Node]> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            Kind::Null => Ok(&[]),
            _ => Err(self.wrong(file, what, "a list")),
        }
    }

    /// Refuses a mapping with keys other than `known`.
    pub fn only(&self, file: &str, what: &str, known: &[&str]) -> Result<()> {
        if !matches!(self.kind, Kind::Map(_) | Kind::Null) {
            return Err(self.wrong(file, what, "a mapping"));
        }
        for (key, _) in self.entries() {
            if !known.contains(&key.name.as_str()) {
                let hint = nearest(&key.name, known.iter().copied()).map(|name| format!(" (did you mean `{name}`?)"));
                return Err(Error::unsupported(
                    &Place::new(file, key.line),
                    format!("`{}` is not a key of {what}{}", key.name, hint.unwrap_or_default()),
                    known.join(", "),
                ));
            }
        }
        Ok(())
    }

    /// An error about this value.
    pub fn wrong(&self, file: &str, what: &str, expected: &str) -> Error {
        let found = self.text().unwrap_or_else(|| {
            match self.kind {
                Kind::List(_) => "a list",
                Kind::Map(_) => "a mapping",
                _ => "null",
            }
            .to_owned()
        });
        Error::unsupported(&Place::new(file, self.line), format!("{what}: found {found}"), expected)
    }

    /// The same value for templates.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::from(()),
            Kind::Bool(value) => Value::from(*value),
            Kind::Int(value) => Value::from(*value),
            Kind::Float(value) => Value::from(*value),
            Kind::Text(value) => Value::from(value.as_str()),
            Kind::List(items) => Value::from(items.iter().map(Node::value).collect::<Vec<_>>()),
            Kind::Map(entries) => Value::from_pairs(entries.iter().map(|(key, node)| (key.name.clone(), node.value()))),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Node { line: spanned.referenced.line() as usize, kind: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_none<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Int(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kind, E> {
        Ok(i64::try_from(value).map_or(Kind::Float(value as f64), Kind::Int))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Float(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Node, Node>()? {
            let name = key.text().ok_or_else(|| de::Error::custom("a key must be text"))?;
            entries.push((Key { line: key.line, name }, node));
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_kinds() {
        let text = "a: 1\nb:\n  - x\n  - {c: 2026-01-01, d: null, e: 1.5}\nf: 'true'\ng: true\n";
        let node = parse("t.yml", text).unwrap();
        assert_eq!(node.get("b").unwrap().items("t.yml", "b").unwrap()[1].line, 4);
        let inner = &node.get("b").unwrap().items("t.yml", "b").unwrap()[1];
        assert_eq!(inner.get("c").unwrap().text().unwrap(), "2026-01-01");
        assert!(inner.get("d").is_none());
        assert!(matches!(inner.get("e").unwrap().kind, Kind::Float(v) if v == 1.5));
        assert!(matches!(&node.get("f").unwrap().kind, Kind::Text(v) if v == "true"));
        assert!(matches!(node.get("g").unwrap().kind, Kind::Bool(true)));
        assert_eq!(node.entries()[2].0.line, 5);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("t.yml", "a: 1\nb: [1, 2\nc: 3\n").unwrap_err().to_string();
        assert!(error.starts_with("t.yml:"), "{error}");
        let node = parse("t.yml", "a: 1\nmaterialised: table\n").unwrap();
        let error = node.only("t.yml", "a config", &["a", "materialized"]).unwrap_err().to_string();
        assert!(error.contains("t.yml:2") && error.contains("did you mean `materialized`"), "{error}");
        assert!(parse("t.yml", "# nothing\n").unwrap().is_null());
    }
}
