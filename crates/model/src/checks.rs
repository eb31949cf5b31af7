//! Data tests and unit tests as they are written in yml, named as dbt names them.

use crate::error::{Error, Place, Result};
use crate::yaml::{Kind, Node};

/// What a failing data test does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The build is not published.
    Error,
    /// It is reported.
    Warn,
}

/// What a generic test looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Model(String),
    Source(String, String),
}

/// A data test: its SQL gives the rows that should not be.
#[derive(Debug, Clone)]
pub(crate) struct DataTest {
    pub(crate) name: String,
    pub(crate) at: Place,
    pub(crate) kind: TestKind,
    pub(crate) severity: Severity,
    pub(crate) condition: Option<String>,
    pub(crate) enabled: bool,
    /// Models that it reads, its own first.
    pub(crate) models: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum TestKind {
    /// `{% test name(model, column_name, ...) %}` with arguments.
    Generic { test: String, target: Target, column: Option<String>, arguments: Vec<(String, Node)> },
    /// A file of `tests/`.
    Singular { sql: String },
}

const CONFIG_KEYS: [&str; 6] = ["severity", "where", "tags", "enabled", "meta", "store_failures"];
const UNSUPPORTED_KEYS: [&str; 4] = ["fail_calc", "warn_if", "error_if", "limit"];

impl DataTest {
    /// One item of `data_tests`: a name, or a name with arguments.
    pub(crate) fn parse(file: &str, item: &Node, target: &Target, column: Option<&str>) -> Result<Self> {
        let at = Place::new(file, item.line);
        let expected = "a test's name, or `name: {arguments}`";
        let empty = Node { line: item.line, kind: Kind::Null };
        let (test, body) = match &item.kind {
            Kind::Text(name) => (name.clone(), &empty),
            Kind::Map(entries) => match (item.get("test_name"), entries.as_slice()) {
                (Some(name), _) => (name.require_text(file, "test_name")?, item),
                (None, [(name, body)]) => (name.name.clone(), body),
                _ => return Err(item.wrong(file, "a data test", expected)),
            },
            _ => return Err(item.wrong(file, "a data test", expected)),
        };
        let (project, test) = match test.split_once('.') {
            Some((project, name)) => (Some(project.to_owned()), name.to_owned()),
            None => (None, test),
        };
        let mut parsed = Self {
            name: String::new(),
            at,
            kind: TestKind::Singular { sql: String::new() },
            severity: Severity::Error,
            condition: None,
            enabled: true,
            models: Vec::new(),
        };
        let mut arguments: Vec<(String, Node)> = Vec::new();
        let mut custom = None;
        for (key, node) in body.entries() {
            match key.name.as_str() {
                "name" => custom = Some(node.require_text(file, "name")?),
                "config" => {
                    node.entries().iter().try_for_each(|(key, node)| parsed.configure(file, &key.name, node))?
                }
                "arguments" => {
                    arguments.extend(node.entries().iter().map(|(key, node)| (key.name.clone(), node.clone())))
                }
                "test_name" | "description" => {}
                name if CONFIG_KEYS.contains(&name) || UNSUPPORTED_KEYS.contains(&name) => {
                    parsed.configure(file, name, node)?
                }
                name => arguments.push((name.to_owned(), node.clone())),
            }
        }
        let given_column = arguments.iter().find(|(name, _)| name == "column_name").and_then(|(_, node)| node.text());
        arguments.retain(|(name, _)| name != "column_name");
        let column = column.map(str::to_owned).or(given_column);
        parsed.name =
            custom.unwrap_or_else(|| generic_name(project.as_deref(), &test, target, column.as_deref(), &arguments));
        parsed.kind = TestKind::Generic { test, target: target.clone(), column, arguments };
        Ok(parsed)
    }

    /// What it is about: the model or source that it is written for; a file of `tests/` is about the first that it reads.
    pub(crate) fn about(&self) -> String {
        match &self.kind {
            TestKind::Generic { target: Target::Model(model), .. } => model.clone(),
            TestKind::Generic { target: Target::Source(source, table), .. } => format!("{source}.{table}"),
            TestKind::Singular { .. } => self.models.first().cloned().unwrap_or_default(),
        }
    }

    /// A file of `tests/`.
    pub(crate) fn singular(file: &str, name: &str, sql: &str) -> Self {
        Self {
            name: name.to_owned(),
            at: Place::new(file, 0),
            kind: TestKind::Singular { sql: sql.to_owned() },
            severity: Severity::Error,
            condition: None,
            enabled: true,
            models: Vec::new(),
        }
    }

    /// One key of the test's configuration.
    pub(crate) fn configure(&mut self, file: &str, key: &str, node: &Node) -> Result<()> {
        let at = Place::new(file, node.line);
        match key {
            "severity" => {
                self.severity = match node.text().map(|text| text.to_lowercase()).as_deref() {
                    Some("error") => Severity::Error,
                    Some("warn") => Severity::Warn,
                    _ => return Err(node.wrong(file, "severity", "error, warn")),
                }
            }
            "where" => self.condition = Some(node.require_text(file, "where")?),
            "enabled" => self.enabled = !matches!(node.kind, Kind::Bool(false)),
            "tags" | "meta" | "store_failures" | "description" => {}
            other => {
                return Err(Error::unsupported(&at, format!("`{other}` of a data test"), CONFIG_KEYS.join(", ")));
            }
        }
        Ok(())
    }
}

/// dbt's name of a generic test: test, model, then the arguments in the order of their names.
fn generic_name(
    project: Option<&str>,
    test: &str,
    target: &Target,
    column: Option<&str>,
    arguments: &[(String, Node)],
) -> String {
    let mut parts: Vec<(&str, Vec<String>)> =
        arguments.iter().map(|(name, node)| (name.as_str(), flat(node))).collect();
    if let Some(column) = column {
        parts.push(("column_name", vec![column.to_owned()]));
    }
    parts.sort_by(|a, b| a.0.cmp(b.0));
    let flat: Vec<String> = parts.into_iter().flat_map(|(_, values)| values).map(|text| clean(&text)).collect();
    let test = project.map_or_else(|| test.to_owned(), |project| format!("{project}_{test}"));
    let head = match target {
        Target::Model(model) => format!("{test}_{model}"),
        Target::Source(source, table) => format!("source_{test}_{source}_{table}"),
    };
    format!("{head}_{}", flat.join("__"))
}

fn flat(node: &Node) -> Vec<String> {
    let text = |node: &Node| match &node.kind {
        // As Python prints them.
        Kind::Bool(true) => "True".to_owned(),
        Kind::Bool(false) => "False".to_owned(),
        Kind::Float(value) if value.fract() == 0.0 => format!("{value:.1}"),
        _ => node.text().unwrap_or_else(|| "None".to_owned()),
    };
    match &node.kind {
        Kind::List(items) => items.iter().map(text).collect(),
        Kind::Map(entries) => entries.iter().map(|(_, node)| text(node)).collect(),
        _ => vec![text(node)],
    }
}

/// Runs of anything but letters, digits and underscores become one underscore.
fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut gap = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            if std::mem::take(&mut gap) {
                out.push('_');
            }
            out.push(c);
        } else {
            gap = true;
        }
    }
    if gap {
        out.push('_');
    }
    out
}

/// A unit test: given rows in, expected rows out.
#[derive(Debug, Clone)]
pub(crate) struct UnitTest {
    pub(crate) name: String,
    pub(crate) at: Place,
    pub(crate) model: String,
    pub(crate) given: Vec<Given>,
    pub(crate) expect: Rows,
    /// Overrides: macros by name, vars, environment variables.
    pub(crate) macros: Vec<(String, Node)>,
    pub(crate) vars: Vec<(String, Node)>,
    pub(crate) env_vars: Vec<(String, Node)>,
    pub(crate) enabled: bool,
}

/// Rows of one input: `ref('x')`, `source('x', 'y')` or `this`.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) at: Place,
    pub(crate) input: String,
    pub(crate) rows: Rows,
}

/// Rows as text; a missing or null value is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    /// Columns in the order first seen.
    pub(crate) columns: Vec<String>,
    /// Values by row, as long as `columns`.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl UnitTest {
    pub(crate) fn parse(file: &str, node: &Node) -> Result<Self> {
        node.only(
            file,
            "a unit test",
            &["name", "description", "model", "given", "expect", "overrides", "config", "versions"],
        )?;
        let at = Place::new(file, node.line);
        let text = |key: &str| match node.get(key) {
            Some(found) => found.require_text(file, key),
            None => Err(Error::unsupported(&at, format!("a unit test without `{key}`"), "name, model, given, expect")),
        };
        let mut given = Vec::new();
        for item in node.get("given").map_or(Ok(&[][..]), |list| list.items(file, "given"))? {
            item.only(file, "a given input", &["input", "format", "rows"])?;
            let input = item.get("input").ok_or_else(|| item.wrong(file, "given", "input: ref('...') and rows"))?;
            let place = Place::new(file, item.line);
            given.push(Given { at: place, input: input.require_text(file, "input")?, rows: Rows::parse(file, item)? });
        }
        let expect = node
            .get("expect")
            .ok_or_else(|| Error::unsupported(&at, "a unit test without `expect`", "expect: {rows: [...]}"))?;
        expect.only(file, "expect", &["format", "rows"])?;
        let overrides = |key: &str| -> Vec<(String, Node)> {
            let map = node.get("overrides").and_then(|overrides| overrides.get(key));
            map.map(|map| map.entries().iter().map(|(k, n)| (k.name.clone(), n.clone())).collect()).unwrap_or_default()
        };
        if let Some(node) = node.get("overrides") {
            node.only(file, "overrides", &["macros", "vars", "env_vars"])?;
        }
        let config = node.get("config");
        Ok(Self {
            name: text("name")?,
            model: text("model")?,
            given,
            expect: Rows::parse(file, expect)?,
            macros: overrides("macros"),
            vars: overrides("vars"),
            env_vars: overrides("env_vars"),
            enabled: !config.and_then(|c| c.get("enabled")).is_some_and(|n| matches!(n.kind, Kind::Bool(false))),
            at,
        })
    }
}

impl Rows {
    fn parse(file: &str, node: &Node) -> Result<Self> {
        let format = node.get("format").and_then(Node::text).unwrap_or_else(|| "dict".to_owned());
        let Some(rows) = node.get("rows") else { return Ok(Self::default()) };
        match format.as_str() {
            "dict" => Self::dicts(file, rows),
            "csv" => Ok(Self::csv(&rows.require_text(file, "rows in csv")?)),
            other => {
                let at = Place::new(file, node.line);
                Err(Error::unsupported(&at, format!("rows in format `{other}`"), "dict, csv"))
            }
        }
    }

    fn dicts(file: &str, node: &Node) -> Result<Self> {
        let items = node.items(file, "rows")?;
        let mut columns: Vec<String> = Vec::new();
        for item in items {
            if !matches!(item.kind, Kind::Map(_)) {
                return Err(item.wrong(file, "a row", "a mapping of column: value"));
            }
            for (key, _) in item.entries() {
                if !columns.contains(&key.name) {
                    columns.push(key.name.clone());
                }
            }
        }
        let rows = items
            .iter()
            .map(|item| columns.iter().map(|column| item.get(column).and_then(Node::text)).collect())
            .collect();
        Ok(Self { columns, rows })
    }

    /// Comma-separated with a header; an empty value is null, quotes as in RFC 4180.
    fn csv(text: &str) -> Self {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(csv_line);
        let columns: Vec<String> =
            lines.next().unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
        let rows = lines
            .map(|mut row| {
                row.resize(columns.len(), None);
                row
            })
            .collect();
        Self { columns, rows }
    }
}

fn csv_line(line: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut chars = line.trim().chars().peekable();
    loop {
        let mut value = String::new();
        let mut quoted = false;
        while chars.peek() == Some(&' ') {
            chars.next();
        }
        if chars.peek() == Some(&'"') {
            quoted = true;
            chars.next();
            while let Some(c) = chars.next() {
                match c {
                    '"' if chars.peek() == Some(&'"') => value.extend(chars.next()),
                    '"' => break,
                    c => value.push(c),
                }
            }
        }
        for c in chars.by_ref().take_while(|c| *c != ',').collect::<Vec<_>>() {
            value.push(c);
        }
        let value = if quoted { value } else { value.trim().to_owned() };
        values.push((quoted || !value.is_empty()).then_some(value));
        if chars.peek().is_none() {
            if line.trim_end().ends_with(',') {
                values.push(None);
            }
            return values;
        }
    }
}
