//! dbt's template language on minijinja.
//!
//! A file is rendered twice: once to learn its `config`, refs and sources (`execute` false), once for its SQL. Every
//! render gets an environment of its own with the same macros, so that nothing leaks from one model to the next.

pub(crate) mod blocks;
mod context;
mod macros;
mod python;
mod relation;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use context::{Collected, Resolver, Scope};
pub(crate) use relation::{Relation, cte_name, quoted};

use minijinja::{AutoEscape, Environment, Error as JinjaError, UndefinedBehavior, Value};

use crate::error::{Error, Place, Result};
use crate::files::Files;
use macros::{MacroRef, MacroTable};

const BUILTIN: &str = "(built in) dbt.sql";
const BUILTIN_SQL: &str = include_str!("builtin/dbt.sql");

/// The macros of a project, ready to render its files with.
#[derive(Clone)]
pub(crate) struct Jinja {
    env: Environment<'static>,
    project: String,
    macros: MacroTable,
    builtins: MacroTable,
    files: Arc<Files>,
}

impl Jinja {
    /// Compiles the macros of `macro_files`.
    pub(crate) fn new(project: &str, files: Arc<Files>, macro_files: &[String]) -> Result<Self> {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_unknown_method_callback(python::method);
        context::add_functions(&mut env);
        let mut jinja = Self {
            env,
            project: project.to_owned(),
            macros: MacroTable::default(),
            builtins: MacroTable::default(),
            files,
        };
        let mut table = BTreeMap::new();
        jinja.compile(BUILTIN, BUILTIN_SQL, &mut table)?;
        jinja.builtins = Arc::new(table.iter().map(|(name, (value, _))| (name.clone(), value.clone())).collect());
        for file in macro_files {
            let text = jinja.files.get(file).cloned().unwrap_or_default();
            jinja.compile(file, &text, &mut table)?;
        }
        jinja.macros = Arc::new(table.into_iter().map(|(name, (value, _))| (name, value)).collect());
        Ok(jinja)
    }

    fn compile(&mut self, file: &str, text: &str, table: &mut BTreeMap<String, (Value, Place)>) -> Result<()> {
        for block in blocks::split(file, text)? {
            let at = Place::new(file, block.line);
            if let Some((_, earlier)) = table.get(&block.name)
                && earlier.file != BUILTIN
            {
                let found = format!("macro `{}` is defined twice; first in {earlier}", block.name);
                return Err(Error::unsupported(&at, found, "one definition of a name"));
            }
            let template = format!("{file}#{}", block.name);
            self.env
                .add_template_owned(template.clone(), python::let_lists_grow(&block.source))
                .map_err(|error| self.failure(&error, &at))?;
            table.insert(block.name, (Value::from_object(MacroRef::new(template)), at));
        }
        Ok(())
    }

    /// Whether the project, or dbt, has a macro of this name.
    pub(crate) fn has_macro(&self, name: &str) -> bool {
        self.macros.contains_key(name)
    }

    /// Whether the macro of this name is dbt's own, not the project's.
    pub(crate) fn is_builtin(&self, name: &str) -> bool {
        self.builtins
            .get(name)
            .is_some_and(|own| self.macros.get(name).is_some_and(|used| own.to_string() == used.to_string()))
    }

    /// The names of the generic tests there are.
    pub(crate) fn generic_tests(&self) -> impl Iterator<Item = &str> {
        self.macros.keys().filter_map(|name| name.strip_prefix("test_"))
    }

    /// Renders a file's text.
    pub(crate) fn render(&self, file: &str, text: &str, scope: &Scope) -> Result<(String, Collected)> {
        let (env, collected) = scope.environment(self);
        let source = python::let_lists_grow(text);
        let rendered = env
            .template_from_named_str(file, &source)
            .and_then(|template| template.render(()))
            .map_err(|error| self.failure(&error, &Place::new(file, 0)))?;
        Ok((rendered, Collected::take(&collected)))
    }

    /// The value of a text of a YAML file: `{{ expression }}` alone keeps its kind, other templates become text, and
    /// what has no braces is taken as it is.
    pub(crate) fn value(&self, at: &Place, text: &str, scope: &Scope) -> Result<(Value, Collected)> {
        let trimmed = text.trim();
        let single =
            trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).filter(|inner| !inner.contains("{{"));
        match single {
            Some(expression) => self.expression(at, expression, scope),
            None if text.contains("{{") || text.contains("{%") => {
                let (env, collected) = scope.environment(self);
                let rendered = env.render_named_str(&at.file, text, ()).map_err(|error| self.failure_at(&error, at))?;
                Ok((Value::from(rendered), Collected::take(&collected)))
            }
            None => Ok((Value::from(text), Collected::default())),
        }
    }

    /// The value of an expression such as `ref('silver__views')`.
    pub(crate) fn expression(&self, at: &Place, text: &str, scope: &Scope) -> Result<(Value, Collected)> {
        let (env, collected) = scope.environment(self);
        let value = env
            .compile_expression(text)
            .and_then(|expression| expression.eval(()))
            .map_err(|error| self.failure_at(&error, at))?;
        Ok((value, Collected::take(&collected)))
    }

    /// Calls a macro with named arguments.
    pub(crate) fn call(
        &self,
        at: &Place,
        name: &str,
        arguments: Vec<(String, Value)>,
        scope: &Scope,
    ) -> Result<(String, Collected)> {
        let (mut env, collected) = scope.environment(self);
        let names: Vec<String> = arguments.iter().map(|(name, _)| format!("{name}=_given.{name}")).collect();
        env.add_global("_given", Value::from_pairs(arguments));
        let source = format!("{{{{ {name}({}) }}}}", names.join(", "));
        let rendered = env.render_named_str(&at.file, &source, ()).map_err(|error| self.failure_at(&error, at))?;
        Ok((rendered, Collected::take(&collected)))
    }

    /// An error at the place that the template engine names, or at `fallback` where it names none.
    fn failure(&self, error: &JinjaError, fallback: &Place) -> Error {
        let named = error.name().map(|name| name.split('#').next().unwrap_or(name));
        let at = match (named, error.line()) {
            (Some(file), Some(line)) if file == BUILTIN || self.files.contains_key(file) => Place::new(file, line),
            _ => fallback.clone(),
        };
        let text = if at.file == BUILTIN { Some(BUILTIN_SQL) } else { self.files.get(&at.file).map(String::as_str) };
        let line = text.and_then(|text| text.lines().nth(at.line.saturating_sub(1))).unwrap_or("").trim();
        Error::Render { detail: describe(error), text: line.to_owned(), at }
    }

    /// An error inside a piece of a YAML file, whose lines the engine does not know; inside a macro, it does.
    fn failure_at(&self, error: &JinjaError, at: &Place) -> Error {
        match error.name() {
            Some(name) if name.contains('#') => self.failure(error, at),
            _ => {
                let text = self.files.get(&at.file).and_then(|text| text.lines().nth(at.line.saturating_sub(1)));
                Error::Render { at: at.clone(), detail: describe(error), text: text.unwrap_or("").trim().to_owned() }
            }
        }
    }
}

fn describe(error: &JinjaError) -> String {
    match error.detail() {
        Some(detail) if detail.contains("undefined is not callable") => {
            format!("{}: something is called here that is no macro or function of the project", error.kind())
        }
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}
