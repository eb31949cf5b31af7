//! A dbt project, read and checked: its models with their configuration, sources, tests and the order to build in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use minijinja::Value;

use crate::checks::{DataTest, UnitTest};
use crate::config::Config;
use crate::error::{Error, Result, nearest};
use crate::files::{self, Files};
use crate::graph;
use crate::head::Head;
use crate::jinja::{Jinja, Relation, Resolver, Scope};
use crate::properties::Properties;
use crate::reader::{Reader, is_generic};
use crate::yaml;

/// A model: one query of the project.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name, that of its file: `gold__drop_off`.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What its yml says it is.
    pub description: String,
    /// Columns with their descriptions, as its yml has them.
    pub columns: Vec<(String, String)>,
    pub(crate) sql: String,
    pub(crate) config: Config,
    pub(crate) relation: Relation,
    pub(crate) refs: BTreeSet<String>,
    pub(crate) sources: BTreeSet<(String, String)>,
}

impl Model {
    /// `layer.table` in SQL.
    pub fn relation(&self) -> String {
        self.relation.to_string()
    }
    /// Its tags.
    pub fn tags(&self) -> &[String] {
        &self.config.tags
    }
    /// Models that it reads.
    pub fn refs(&self) -> impl Iterator<Item = &str> {
        self.refs.iter().map(String::as_str)
    }
    /// How its rows come to be.
    pub fn materialized(&self) -> crate::Materialized {
        self.config.materialized
    }
}

/// A project, ready to run.
#[derive(Clone)]
pub struct Project {
    pub(crate) name: String,
    pub(crate) jinja: Jinja,
    pub(crate) vars: Arc<BTreeMap<String, Value>>,
    pub(crate) models: BTreeMap<String, Model>,
    pub(crate) tests: Vec<DataTest>,
    pub(crate) unit_tests: Vec<UnitTest>,
    pub(crate) relations: Arc<Relations>,
    /// Models, each after those that it reads.
    pub(crate) order: Vec<String>,
    files: Arc<Files>,
}

/// Relations by what templates call them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relations {
    pub(crate) models: BTreeMap<String, Relation>,
    pub(crate) sources: BTreeMap<(String, String), Relation>,
}

impl Resolver for Relations {
    fn model(&self, name: &str) -> Result<Relation, String> {
        self.models.get(name).cloned().ok_or_else(|| {
            let near =
                nearest(name, self.models.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
            format!("ref('{name}'): there is no such model{}", near.unwrap_or_default())
        })
    }
    fn source(&self, source: &str, table: &str) -> Result<Relation, String> {
        self.sources.get(&(source.to_owned(), table.to_owned())).cloned().ok_or_else(|| {
            let known: Vec<String> = self.sources.keys().map(|(source, table)| format!("{source}.{table}")).collect();
            format!("source('{source}', '{table}'): not declared; declared are {}", known.join(", "))
        })
    }
}

impl Project {
    /// The project that the binary was built with.
    ///
    /// # Errors
    /// None that a released binary has: its tests load it.
    pub fn embedded() -> Result<Self> {
        Self::parse(Arc::new(files::embedded()), BTreeMap::new())
    }

    /// A project in a folder.
    ///
    /// # Errors
    /// With file and line, whatever is wrong in the project or not supported.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        Self::parse(Arc::new(files::read(dir.as_ref())?), BTreeMap::new())
    }

    /// The same project with some variables set, as dbt's `--vars`.
    ///
    /// # Errors
    /// As [`Project::load`].
    pub fn with_vars(&self, vars: &serde_json::Map<String, serde_json::Value>) -> Result<Self> {
        Self::parse(self.files.clone(), vars.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its models in the order of building.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.order.iter().filter_map(|name| self.models.get(name))
    }

    /// A model's SQL as a full build runs it, for looking at.
    ///
    /// # Errors
    /// [`Error::Select`] when there is no such model; what its template says otherwise.
    pub fn compile(&self, model: &str) -> Result<String> {
        let found = self.models.get(model).ok_or_else(|| {
            let detail = format!("there is no such model; there are {}", self.order.join(", "));
            Error::Select { selector: model.to_owned(), detail }
        })?;
        self.compile_model(found, None)
    }

    /// The names of the models that selectors choose, in the order of building; all when there is no selector.
    ///
    /// # Errors
    /// [`Error::Select`] for a selector that matches nothing.
    pub fn select(&self, select: &[String], exclude: &[String]) -> Result<Vec<String>> {
        let chosen = crate::select::select(self, select, exclude)?;
        Ok(self.order.iter().filter(|name| chosen.contains(*name)).cloned().collect())
    }

    /// The names of the data tests, as dbt names them.
    pub fn data_tests(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().map(|test| test.name.as_str())
    }

    /// A number that changes with any file or variable of the project.
    pub(crate) fn digest(&self) -> String {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for (file, text) in self.files.iter() {
            hash.update(file.as_bytes());
            hash.update(&[0]);
            hash.update(text.as_bytes());
            hash.update(&[0]);
        }
        for (name, value) in self.vars.iter() {
            hash.update(format!("{name}={value:?}").as_bytes());
        }
        format!("{:032x}", hash.digest128())
    }

    /// A scope for rendering outside of any model.
    pub(crate) fn scope(&self) -> Scope {
        scope(&self.vars, self.relations.clone())
    }

    fn parse(files: Arc<Files>, set_vars: BTreeMap<String, Value>) -> Result<Self> {
        let head = Head::parse(&files, set_vars)?;
        let mut macro_files = head.under(&files, &head.macro_paths, ".sql");
        macro_files.extend(head.under(&files, &head.test_paths, ".sql").into_iter().filter(|file| is_generic(file)));
        let jinja = Jinja::new(&head.name, files.clone(), &macro_files)?;
        let mut properties = Properties::default();
        for paths in [&head.model_paths, &head.macro_paths, &head.test_paths] {
            for file in head.under(&files, paths, ".yml").into_iter().chain(head.under(&files, paths, ".yaml")) {
                properties.add(&file, &yaml::parse(&file, &files[&file])?)?;
            }
        }
        let reader = Reader { head: &head, files: &files, jinja: &jinja, vars: Arc::new(head.vars.clone()) };
        let mut relations = Relations { sources: reader.sources(&properties)?, ..Relations::default() };
        let mut models = reader.models(&properties, &mut relations)?;
        for (name, described) in &properties.models {
            if !models.contains_key(name) {
                let near =
                    nearest(name, models.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
                let found = format!("model `{name}` has no SQL file{}", near.unwrap_or_default());
                return Err(Error::unsupported(&described.at, found, "the name of a .sql file in the model folders"));
            }
        }
        models.retain(|_, model| model.config.enabled);
        let order = graph::order(&models)?;
        let relations = Arc::new(relations);
        let tests = reader.tests(properties.data_tests, &models, &relations)?;
        let unit_tests = properties.unit_tests.into_iter().filter(|test| test.enabled).collect();
        let vars = reader.vars.clone();
        let project = Self {
            name: head.name.clone(),
            jinja: jinja.clone(),
            vars,
            models,
            tests,
            unit_tests,
            relations,
            order,
            files,
        };
        project.check_unit_tests()?;
        Ok(project)
    }

    fn check_unit_tests(&self) -> Result<()> {
        for test in &self.unit_tests {
            if !self.models.contains_key(&test.model) {
                let detail = format!("there is no model `{}`", test.model);
                return Err(Error::UnitTest { test: test.name.clone(), at: test.at.clone(), detail });
            }
        }
        Ok(())
    }
}

pub(crate) fn scope(vars: &Arc<BTreeMap<String, Value>>, relations: Arc<Relations>) -> Scope {
    Scope {
        execute: true,
        this: None,
        model: String::new(),
        config: BTreeMap::new(),
        is_incremental: false,
        vars: vars.clone(),
        env_vars: BTreeMap::new(),
        macros: BTreeMap::new(),
        resolver: relations,
    }
}

pub(crate) fn from_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::from(number.as_f64().unwrap_or(f64::NAN)), Value::from)
        }
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, value)| (key.clone(), from_json(value)))),
    }
}
