//! From a model or test to the SQL that runs: rendered, with the models that are not stored as common table expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use minijinja::Value;

use crate::checks::{DataTest, Target, TestKind};
use crate::error::{Error, Place, Result};
use crate::jinja::{Jinja, Relation, Resolver, Scope, cte_name, quoted};
use crate::project::{Model, Project};
use crate::yaml::{Kind, Node};

/// Name of the variable with the dates of the changed groups: templates may limit what they read by it.
pub(crate) const CHANGED_DATES: &str = "changed_dates";

/// A scope in which templates see the dates of the changed groups.
fn knowing(mut scope: Scope, changed_dates: Option<&[String]>) -> Scope {
    if let Some(dates) = changed_dates {
        let mut vars = (*scope.vars).clone();
        vars.insert(CHANGED_DATES.to_owned(), Value::from(dates.to_vec()));
        scope.vars = Arc::new(vars);
    }
    scope
}

impl Project {
    /// What templates of a model see.
    pub(crate) fn model_scope(&self, model: &Model, is_incremental: bool) -> Scope {
        let mut scope = self.scope();
        scope.this = Some(model.relation.clone());
        scope.model = model.name.clone();
        scope.config = model.config.all.clone();
        scope.is_incremental = is_incremental;
        scope
    }

    /// A model's SQL. `changed_dates` is given in an incremental build.
    pub(crate) fn compile_model(&self, model: &Model, changed_dates: Option<&[String]>) -> Result<String> {
        let scope = knowing(self.model_scope(model, changed_dates.is_some()), changed_dates);
        let (body, collected) = self.jinja.render(&model.file, &model.sql, &scope)?;
        self.check_known(model, &collected.refs)?;
        self.with_inlined(body, &collected.refs)
    }

    /// dbt orders by what the first pass finds; a ref that only the second shows would run in any order.
    fn check_known(&self, model: &Model, refs: &BTreeSet<String>) -> Result<()> {
        match refs.iter().find(|name| !model.refs.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(Error::unsupported(
                &Place::new(&model.file, 0),
                format!(
                    "ref('{name}') is reached only in the second pass (is_incremental() or execute), so its order is unknown"
                ),
                format!("a comment that is always rendered: -- depends_on: {{{{ ref('{name}') }}}}"),
            )),
        }
    }

    /// Puts the models that are not stored, and those that they read, in front of a query.
    pub(crate) fn with_inlined(&self, body: String, refs: &BTreeSet<String>) -> Result<String> {
        let mut ctes = Vec::new();
        let mut seen = BTreeSet::new();
        for name in refs {
            self.inline(name, &mut seen, &mut ctes)?;
        }
        if ctes.is_empty() {
            return Ok(body.trim().to_owned());
        }
        let body = body.trim();
        Ok(format!("with {}\nselect * from (\n{body}\n) as model_query", ctes.join(",\n")))
    }

    fn inline(&self, name: &str, seen: &mut BTreeSet<String>, ctes: &mut Vec<String>) -> Result<()> {
        if !seen.insert(name.to_owned()) || !matches!(self.relations.models.get(name), Some(Relation::Inlined(_))) {
            return Ok(());
        }
        let Some(model) = self.models.get(name) else { return Ok(()) };
        let (body, collected) = self.jinja.render(&model.file, &model.sql, &self.model_scope(model, false))?;
        for inner in &collected.refs {
            self.inline(inner, seen, ctes)?;
        }
        ctes.push(format!("{} as (\n{}\n)", quoted(&cte_name(name)), body.trim()));
        Ok(())
    }

    /// The relation that a generic test looks at, limited by its `where`.
    pub(crate) fn tested_relation(&self, test: &DataTest, target: &Target) -> Result<String> {
        let relation = match target {
            Target::Model(name) => self.relations.model(name),
            Target::Source(source, table) => self.relations.source(source, table),
        };
        let relation =
            relation.map_err(|found| Error::unsupported(&test.at, found, "a model or source of the project"))?;
        match &test.condition {
            None => Ok(relation.to_string()),
            Some(condition) => {
                let (condition, _) = self.jinja.value(&test.at, condition, &self.scope())?;
                Ok(format!("(select * from {relation} where {condition}) as dbt_subquery"))
            }
        }
    }

    /// A data test's SQL: it gives the rows that should not be. `changed_dates` is given where rows of other dates have
    /// passed the test before.
    pub(crate) fn compile_test(&self, test: &DataTest, changed_dates: Option<&[String]>) -> Result<String> {
        let scope = knowing(self.scope(), changed_dates);
        let (body, mut refs) = match &test.kind {
            TestKind::Singular { sql } => {
                let (body, collected) = self.jinja.render(&test.at.file, sql, &scope)?;
                (body, collected.refs)
            }
            TestKind::Generic { test: name, target, column, arguments } => {
                let mut given = vec![("model".to_owned(), Value::from(self.tested_relation(test, target)?))];
                if let Some(column) = column {
                    given.push(("column_name".to_owned(), Value::from(column.as_str())));
                }
                let mut refs = BTreeSet::new();
                for (name, node) in arguments {
                    let (value, reads) = argument(&self.jinja, &test.at.file, node, &scope)?;
                    refs.extend(reads);
                    given.push((name.clone(), value));
                }
                let (body, collected) = self.jinja.call(&test.at, &format!("test_{name}"), given, &scope)?;
                refs.extend(collected.refs);
                (body, refs)
            }
        };
        refs.extend(test.models.iter().cloned());
        self.with_inlined(body, &refs)
    }
}

/// The value of an argument of a generic test. A text that is a call of `ref`, `source` or `var`, or a template, is
/// evaluated. Also gives the models that it refers to.
pub(crate) fn argument(jinja: &Jinja, file: &str, node: &Node, scope: &Scope) -> Result<(Value, BTreeSet<String>)> {
    let at = Place::new(file, node.line);
    match &node.kind {
        Kind::Text(text) => {
            let is_call = ["ref", "source", "var", "env_var"]
                .iter()
                .any(|name| text.trim().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('(')))
                && text.trim().ends_with(')');
            let (value, collected) =
                if is_call { jinja.expression(&at, text, scope)? } else { jinja.value(&at, text, scope)? };
            Ok((value, collected.refs))
        }
        Kind::List(items) => {
            let mut refs = BTreeSet::new();
            let mut values = Vec::new();
            for item in items {
                let (value, reads) = argument(jinja, file, item, scope)?;
                refs.extend(reads);
                values.push(value);
            }
            Ok((Value::from(values), refs))
        }
        Kind::Map(entries) => {
            let mut refs = BTreeSet::new();
            let mut values = BTreeMap::new();
            for (key, item) in entries {
                let (value, reads) = argument(jinja, file, item, scope)?;
                refs.extend(reads);
                values.insert(key.name.clone(), value);
            }
            Ok((Value::from(values), refs))
        }
        _ => Ok((node.value(), BTreeSet::new())),
    }
}
