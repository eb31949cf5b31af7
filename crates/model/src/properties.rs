//! The yml files beside the models: sources, descriptions, columns, data tests and unit tests.

use std::collections::BTreeMap;

use crate::checks::{DataTest, Target, UnitTest};
use crate::error::{Error, Place, Result};
use crate::yaml::{Kind, Node};

/// What the yml files say.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    /// By model.
    pub(crate) models: BTreeMap<String, ModelProperties>,
    /// By source and table.
    pub(crate) sources: BTreeMap<(String, String), Source>,
    /// Generic data tests, as written.
    pub(crate) data_tests: Vec<DataTest>,
    /// Unit tests.
    pub(crate) unit_tests: Vec<UnitTest>,
}

/// What a yml says about a model.
#[derive(Debug)]
pub(crate) struct ModelProperties {
    pub(crate) at: Place,
    pub(crate) description: String,
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) config: Vec<(String, Node)>,
}

/// A table of a source, with the names still as templates.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) at: Place,
    pub(crate) schema: String,
    pub(crate) identifier: String,
}

const FILE_KEYS: [&str; 6] = ["version", "models", "sources", "unit_tests", "macros", "exposures"];
const MODEL_KEYS: [&str; 10] = [
    "name",
    "description",
    "docs",
    "config",
    "meta",
    "columns",
    "data_tests",
    "tests",
    "constraints",
    "latest_version",
];
const COLUMN_KEYS: [&str; 9] =
    ["name", "description", "data_type", "data_tests", "tests", "meta", "tags", "quote", "constraints"];
const SOURCE_KEYS: [&str; 14] = [
    "name",
    "description",
    "database",
    "schema",
    "quoting",
    "config",
    "meta",
    "tags",
    "tables",
    "loader",
    "data_tests",
    "tests",
    "overrides",
    "version",
];
const TABLE_KEYS: [&str; 11] = [
    "name",
    "description",
    "identifier",
    "quoting",
    "config",
    "meta",
    "tags",
    "columns",
    "data_tests",
    "tests",
    "external",
];

impl Properties {
    /// Adds a file's content.
    pub(crate) fn add(&mut self, file: &str, root: &Node) -> Result<()> {
        root.only(file, "a properties file", &FILE_KEYS)?;
        for (key, node) in root.entries() {
            match key.name.as_str() {
                "models" => node.items(file, "models")?.iter().try_for_each(|item| self.model(file, item))?,
                "sources" => node.items(file, "sources")?.iter().try_for_each(|item| self.source(file, item))?,
                "unit_tests" => {
                    for item in node.items(file, "unit_tests")? {
                        self.unit_tests.push(UnitTest::parse(file, item)?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn model(&mut self, file: &str, node: &Node) -> Result<()> {
        node.only(file, "a model", &MODEL_KEYS)?;
        let at = Place::new(file, node.line);
        let name = name_of(file, node, "a model")?;
        let target = Target::Model(name.clone());
        let columns = self.columns(file, node, &target)?;
        self.tests(file, node, &target, None)?;
        let mut config: Vec<(String, Node)> = node
            .get("config")
            .map(|map| map.entries().iter().map(|(k, n)| (k.name.clone(), n.clone())).collect())
            .unwrap_or_default();
        if let Some(meta) = node.get("meta") {
            config.push(("meta".to_owned(), meta.clone()));
        }
        let properties = ModelProperties { at: at.clone(), description: description(node), columns, config };
        if let Some(earlier) = self.models.insert(name.clone(), properties) {
            let found = format!("model `{name}` is described twice; first in {}", earlier.at);
            return Err(Error::unsupported(&at, found, "one entry a model"));
        }
        Ok(())
    }

    fn source(&mut self, file: &str, node: &Node) -> Result<()> {
        node.only(file, "a source", &SOURCE_KEYS)?;
        let source = name_of(file, node, "a source")?;
        let schema = node.get("schema").map_or(Ok(source.clone()), |n| n.require_text(file, "schema"))?;
        let Some(tables) = node.get("tables") else { return Ok(()) };
        for table in tables.items(file, "tables")? {
            table.only(file, "a source's table", &TABLE_KEYS)?;
            let name = name_of(file, table, "a source's table")?;
            let identifier =
                table.get("identifier").map_or(Ok(name.clone()), |n| n.require_text(file, "identifier"))?;
            let target = Target::Source(source.clone(), name.clone());
            self.columns(file, table, &target)?;
            self.tests(file, table, &target, None)?;
            let at = Place::new(file, table.line);
            self.sources.insert((source.clone(), name), Source { at, schema: schema.clone(), identifier });
        }
        Ok(())
    }

    fn columns(&mut self, file: &str, node: &Node, target: &Target) -> Result<Vec<(String, String)>> {
        let Some(columns) = node.get("columns") else { return Ok(Vec::new()) };
        let mut described = Vec::new();
        for column in columns.items(file, "columns")? {
            column.only(file, "a column", &COLUMN_KEYS)?;
            let name = name_of(file, column, "a column")?;
            self.tests(file, column, target, Some(&name))?;
            described.push((name, description(column)));
        }
        Ok(described)
    }

    fn tests(&mut self, file: &str, node: &Node, target: &Target, column: Option<&str>) -> Result<()> {
        for key in ["data_tests", "tests"] {
            let Some(list) = node.get(key) else { continue };
            for item in list.items(file, key)? {
                self.data_tests.push(DataTest::parse(file, item, target, column)?);
            }
        }
        Ok(())
    }
}

fn name_of(file: &str, node: &Node, what: &str) -> Result<String> {
    match node.get("name") {
        Some(name) => name.require_text(file, "name"),
        None => Err(Error::unsupported(&Place::new(file, node.line), format!("{what} without `name`"), "name: ...")),
    }
}

fn description(node: &Node) -> String {
    match node.get("description").map(|text| &text.kind) {
        Some(Kind::Text(text)) => text.trim().to_owned(),
        _ => String::new(),
    }
}
