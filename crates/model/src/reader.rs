//! Reading a project once its macros and yml are known: sources, models with their configuration, tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::Value;

use crate::checks::{DataTest, Target, TestKind};
use crate::config::{Layers, from_tree};
use crate::error::{Error, Place, Result, nearest};
use crate::files::Files;
use crate::head::{Head, PROJECT_FILE};
use crate::jinja::{Jinja, Relation, blocks};
use crate::project::{Model, Relations, scope};
use crate::properties::Properties;
use crate::yaml::{self, Node};

/// The passes over a project's files once macros and yml are known.
pub(crate) struct Reader<'a> {
    pub(crate) head: &'a Head,
    pub(crate) files: &'a Files,
    pub(crate) jinja: &'a Jinja,
    pub(crate) vars: Arc<BTreeMap<String, Value>>,
}

impl Reader<'_> {
    pub(crate) fn sources(&self, properties: &Properties) -> Result<BTreeMap<(String, String), Relation>> {
        let scope = scope(&self.vars, Arc::new(Relations::default()));
        let mut sources = BTreeMap::new();
        for (key, source) in &properties.sources {
            let text = |template: &str| Ok(self.jinja.value(&source.at, template, &scope)?.0.to_string());
            sources.insert(key.clone(), Relation::stored(text(&source.schema)?, text(&source.identifier)?));
        }
        Ok(sources)
    }

    /// Reads each model's SQL for its configuration and refs; fills in what models are called in SQL.
    pub(crate) fn models(&self, properties: &Properties, relations: &mut Relations) -> Result<BTreeMap<String, Model>> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for file in self.head.under(self.files, &self.head.model_paths, ".sql") {
            let name = stem(&file).to_owned();
            if let Some(other) = found.insert(name.clone(), file.clone()) {
                return Err(Error::unsupported(
                    &Place::new(&file, 0),
                    format!("model `{name}` is also in {other}"),
                    "one file a model",
                ));
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
            layers.set_node(key, node, described.map_or("", |d| &d.at.file), self.jinja, &scope)?;
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
    pub(crate) fn tests(
        &self,
        generic: Vec<DataTest>,
        models: &BTreeMap<String, Model>,
        relations: &Arc<Relations>,
    ) -> Result<Vec<DataTest>> {
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
                        let near = nearest(macro_name, self.jinja.generic_tests())
                            .map(|near| format!(" (did you mean `{near}`?)"));
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

/// Whether a file of the test folders defines generic tests.
pub(crate) fn is_generic(file: &str) -> bool {
    file.split('/').any(|part| part == "generic")
}
