//! `dbt_project.yml`, and which files of a project are what.

use std::collections::BTreeMap;

use minijinja::Value;

use crate::error::{Error, Place, Result};
use crate::files::Files;
use crate::yaml::{self, Node};

pub(crate) const PROJECT_FILE: &str = "dbt_project.yml";
const PROJECT_KEYS: [&str; 17] = [
    "name",
    "version",
    "config-version",
    "profile",
    "require-dbt-version",
    "model-paths",
    "macro-paths",
    "test-paths",
    "target-path",
    "log-path",
    "clean-targets",
    "vars",
    "models",
    "flags",
    "docs-paths",
    "dispatch",
    "description",
];

/// What dbt_project.yml says.
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) model_paths: Vec<String>,
    pub(crate) macro_paths: Vec<String>,
    pub(crate) test_paths: Vec<String>,
    pub(crate) vars: BTreeMap<String, Value>,
    /// What stands below `models:` for this project.
    pub(crate) tree: Option<Node>,
}

impl Head {
    pub(crate) fn parse(files: &Files, set_vars: BTreeMap<String, Value>) -> Result<Self> {
        let place = Place::new(PROJECT_FILE, 0);
        let text = files.get(PROJECT_FILE).ok_or_else(|| {
            Error::unsupported(
                &place,
                "not found: this folder is no dbt project",
                "a folder with dbt_project.yml, models/ and macros/",
            )
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
            let python =
                file.ends_with(".py") && self.model_paths.iter().any(|path| file.starts_with(&format!("{path}/")));
            if python || file.starts_with("seeds/") || file.starts_with("snapshots/") {
                let supported = "models, macros and tests in SQL; data comes from sources";
                return Err(Error::unsupported(
                    &Place::new(file, 0),
                    "seeds, snapshots and Python models are not run",
                    supported,
                ));
            }
        }
        Ok(())
    }

    /// Files in some folders whose name ends so.
    pub(crate) fn under(&self, files: &Files, paths: &[String], end: &str) -> Vec<String> {
        files
            .keys()
            .filter(|file| {
                file.ends_with(end)
                    && paths.iter().any(|path| file.starts_with(&format!("{}/", path.trim_end_matches('/'))))
            })
            .cloned()
            .collect()
    }
}
