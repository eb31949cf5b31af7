//! A dbt project, read and checked: its models with their configuration, sources, tests and the order to build in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use minijinja::Value;

use crate::checks::{DataTest, Target, TestKind, UnitTest};
use crate::config::{Config, Layers, from_tree};
use crate::error::{Error, Place, Result, nearest};
use crate::files::{self, Files};
use crate::graph;
use crate::jinja::blocks;
use crate::jinja::{Jinja, Relation, Resolver, Scope};
use crate::properties::Properties;
use crate::yaml::{self, Node};

const PROJECT_FILE: &str = "dbt_project.yml";
const PROJECT_KEYS: [&str; 17] = [
    "name", "version", "config-version", "profile", "require-dbt-version", "model-paths", "macro-paths", "test-paths",
    "target-path", "log-path", "clean-targets", "vars", "models", "flags", "docs-paths", "dispatch", "description",
];

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
            let near = nearest(name, self.models.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
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
                let near = nearest(name, models.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
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
        let project = Self { name: head.name.clone(), jinja: jinja.clone(), vars, models, tests, unit_tests, relations, order, files };
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

fn is_generic(file: &str) -> bool {
    file.split('/').any(|part| part == "generic")
}

fn scope(vars: &Arc<BTreeMap<String, Value>>, relations: Arc<Relations>) -> Scope {
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
        Json::Number(number) => number.as_i64().map_or_else(|| Value::from(number.as_f64().unwrap_or(f64::NAN)), Value::from),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, value)| (key.clone(), from_json(value)))),
    }
}

/// What dbt_project.yml says.
struct Head {
    name: String,
    model_paths: Vec<String>,
    macro_paths: Vec<String>,
    test_paths: Vec<String>,
    vars: BTreeMap<String, Value>,
    tree: Option<Node>,
}

impl Head {
    fn parse(files: &Files, set_vars: BTreeMap<String, Value>) -> Result<Self> {
        let place = Place::new(PROJECT_FILE, 0);
        let text = files.get(PROJECT_FILE).ok_or_else(|| {
            Error::unsupported(&place, "not found: this folder is no dbt project", "a folder with dbt_project.yml, models/ and macros/")
        })?;
        let root = yaml::parse(PROJECT_FILE, text)?;
        root.only(PROJECT_FILE, "dbt_project.yml", &PROJECT_KEYS)?;
        let name = root.get("name").ok_or_else(|| Error::unsupported(&place, "no `name`", "name: my_project"))?;
        let name = name.require_text(PROJECT_FILE, "name")?;
        let paths = |key: &str, default: &str| match root.get(key) {
            Some(node) => node.texts(PROJECT_FILE, key),
            None => Ok(vec![default.to_owned()]),
        };
        let mut vars = BTreeMap::new();
        for (key, node) in root.get("vars").map(Node::entries).unwrap_or_default() {
            // Either a variable or the variables of a project.
            if key.name == name {
                vars.extend(node.entries().iter().map(|(key, node)| (key.name.clone(), node.value())));
            } else {
                vars.entry(key.name.clone()).or_insert_with(|| node.value());
            }
        }
        vars.extend(set_vars);
        let tree = root.get("models").and_then(|models| models.get(&name)).cloned();
        for (key, node) in root.get("models").map(Node::entries).unwrap_or_default() {
            if key.name != name && !key.name.starts_with('+') {
                let found = format!("models: `{}` is no project here", key.name);
                return Err(Error::unsupported(&Place::new(PROJECT_FILE, node.line), found, name));
            }
        }
        let head = Self {
            name,
            model_paths: paths("model-paths", "models")?,
            macro_paths: paths("macro-paths", "macros")?,
            test_paths: paths("test-paths", "tests")?,
            vars,
            tree,
        };
        head.refuse_other_files(files)?;
        Ok(head)
    }

    /// Seeds, snapshots and Python models would be left out silently otherwise.
    fn refuse_other_files(&self, files: &Files) -> Result<()> {
        for file in files.keys() {
            let python = file.ends_with(".py") && self.model_paths.iter().any(|path| file.starts_with(&format!("{path}/")));
            if python || file.starts_with("seeds/") || file.starts_with("snapshots/") {
                let supported = "models, macros and tests in SQL; data comes from sources";
                return Err(Error::unsupported(&Place::new(file, 0), "seeds, snapshots and Python models are not run", supported));
            }
        }
        Ok(())
    }

    fn under(&self, files: &Files, paths: &[String], end: &str) -> Vec<String> {
        files
            .keys()
            .filter(|file| file.ends_with(end) && paths.iter().any(|path| file.starts_with(&format!("{}/", path.trim_end_matches('/')))))
            .cloned()
            .collect()
    }
}

/// The passes over a project's files once macros and yml are known.
struct Reader<'a> {
    head: &'a Head,
    files: &'a Files,
    jinja: &'a Jinja,
    vars: Arc<BTreeMap<String, Value>>,
}

impl Reader<'_> {
    fn sources(&self, properties: &Properties) -> Result<BTreeMap<(String, String), Relation>> {
        let scope = scope(&self.vars, Arc::new(Relations::default()));
        let mut sources = BTreeMap::new();
        for (key, source) in &properties.sources {
            let text = |template: &str| Ok(self.jinja.value(&source.at, template, &scope)?.0.to_string());
            sources.insert(key.clone(), Relation::stored(text(&source.schema)?, text(&source.identifier)?));
        }
        Ok(sources)
    }

    /// Reads each model's SQL for its configuration and refs; fills in what models are called in SQL.
    fn models(&self, properties: &Properties, relations: &mut Relations) -> Result<BTreeMap<String, Model>> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for file in self.head.under(self.files, &self.head.model_paths, ".sql") {
            let name = stem(&file).to_owned();
            if let Some(other) = found.insert(name.clone(), file.clone()) {
                return Err(Error::unsupported(&Place::new(&file, 0), format!("model `{name}` is also in {other}"), "one file a model"));
            }
            relations.models.insert(name.clone(), Relation::stored("", name));
        }
        let parsing = Arc::new(relations.clone());
        let mut models = BTreeMap::new();
        for (name, file) in found {
            let model = self.model(&name, &file, properties, &parsing)?;
            let inlined = model.config.materialized == crate::Materialized::Ephemeral;
            let seen = if inlined { Relation::Inlined(name.clone()) } else { model.relation.clone() };
            relations.models.insert(name.clone(), seen);
            models.insert(name, model);
        }
        for (name, model) in &models {
            if !model.config.enabled {
                relations.models.remove(name);
            }
        }
        Ok(models)
    }

    fn model(&self, name: &str, file: &str, properties: &Properties, relations: &Arc<Relations>) -> Result<Model> {
        let sql = &self.files[file];
        blocks::check_sql(file, sql)?;
        let mut scope = scope(&self.vars, relations.clone());
        scope.execute = false;
        scope.model = name.to_owned();
        scope.this = Some(default_relation(name, None, None).unwrap_or_else(|| Relation::stored("gold", name)));
        let mut layers = Layers::default();
        if let Some(tree) = &self.head.tree {
            let folders: Vec<&str> = file.split('/').skip(1).map(|part| part.trim_end_matches(".sql")).collect();
            from_tree(&mut layers, tree, &folders, PROJECT_FILE, self.jinja, &scope)?;
        }
        let described = properties.models.get(name);
        for (key, node) in described.map(|d| d.config.as_slice()).unwrap_or_default() {
            layers.set_node(key, node, &described.map_or("", |d| &d.at.file), self.jinja, &scope)?;
        }
        scope.config = layers.visible();
        let (_, collected) = self.jinja.render(file, sql, &scope)?;
        for (key, value) in collected.config {
            layers.set(&key, value, Place::new(file, line_with(sql, &key)))?;
        }
        let config = layers.resolve(name, file)?;
        let relation = default_relation(name, config.schema.as_deref(), config.alias.as_deref()).ok_or_else(|| {
            let found = format!("model `{name}` does not say its layer");
            Error::unsupported(&Place::new(file, 0), found, "a file named bronze__x.sql, silver__x.sql or gold__x.sql")
        })?;
        Ok(Model {
            name: name.to_owned(),
            file: file.to_owned(),
            description: described.map(|d| d.description.clone()).unwrap_or_default(),
            columns: described.map(|d| d.columns.clone()).unwrap_or_default(),
            sql: sql.clone(),
            config,
            relation,
            refs: collected.refs,
            sources: collected.sources,
        })
    }

    /// All data tests with the models that they read.
    fn tests(&self, generic: Vec<DataTest>, models: &BTreeMap<String, Model>, relations: &Arc<Relations>) -> Result<Vec<DataTest>> {
        let mut tests = generic;
        for file in self.head.under(self.files, &self.head.test_paths, ".sql") {
            if !is_generic(&file) {
                blocks::check_sql(&file, &self.files[&file])?;
                tests.push(DataTest::singular(&file, stem(&file), &self.files[&file]));
            }
        }
        let mut scope = scope(&self.vars, relations.clone());
        scope.execute = false;
        for test in &mut tests {
            let mut reads = BTreeSet::new();
            let mut settings = Vec::new();
            match &test.kind {
                TestKind::Generic { test: macro_name, target, arguments, .. } => {
                    if !self.jinja.has_macro(&format!("test_{macro_name}")) {
                        let near = nearest(macro_name, self.jinja.generic_tests()).map(|near| format!(" (did you mean `{near}`?)"));
                        let found = format!("data test `{macro_name}` is not known{}", near.unwrap_or_default());
                        let known: Vec<&str> = self.jinja.generic_tests().collect();
                        return Err(Error::unsupported(&test.at, found, known.join(", ")));
                    }
                    if let Target::Model(model) = target {
                        test.models.push(model.clone());
                    }
                    for (_, node) in arguments {
                        reads.extend(crate::compile::argument(self.jinja, &test.at.file, node, &scope)?.1);
                    }
                }
                TestKind::Singular { sql } => {
                    let (_, collected) = self.jinja.render(&test.at.file, sql, &scope)?;
                    reads = collected.refs;
                    settings = collected.config;
                }
            }
            let file = test.at.file.clone();
            for (key, value) in settings {
                test.configure(&file, &key, &setting(&value))?;
            }
            for model in reads {
                if !test.models.contains(&model) {
                    test.models.push(model);
                }
            }
        }
        tests.retain(|test| test.enabled && test.models.iter().all(|model| models.contains_key(model)));
        Ok(tests)
    }
}

/// A value of `config(...)` in a singular test, as if it stood in yml.
fn setting(value: &Value) -> Node {
    let kind = match bool::try_from(value.clone()) {
        Ok(flag) => yaml::Kind::Bool(flag),
        Err(_) => yaml::Kind::Text(value.to_string()),
    };
    Node { line: 0, kind }
}

/// `gold__x` is `gold.x` unless configured otherwise.
fn default_relation(name: &str, schema: Option<&str>, alias: Option<&str>) -> Option<Relation> {
    let (layer, table) = match name.split_once("__") {
        Some((layer @ ("bronze" | "silver" | "gold"), table)) => (Some(layer), table),
        _ => (None, name),
    };
    Some(Relation::stored(schema.or(layer)?, alias.unwrap_or(table)))
}

fn stem(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file).trim_end_matches(".sql")
}

/// The first line of a file with a word, for an error about it.
fn line_with(text: &str, word: &str) -> usize {
    text.lines().position(|line| line.contains(word)).map_or(0, |index| index + 1)
}
