//! What a template sees: `ref`, `source`, `config`, `var`, `this`, `target` and the rest of dbt's context.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object, Rest, Value};
use minijinja::{Environment, Error as JinjaError, ErrorKind, State};

use super::Jinja;
use super::macros::{Adapter, MacroTable, Namespace, TARGET_TYPE, return_value};
use super::python;
use super::relation::Relation;

/// Finds what a template refers to. An error is the text of what is wrong.
pub(crate) trait Resolver: Send + Sync {
    /// The relation of a model.
    fn model(&self, name: &str) -> Result<Relation, String>;
    /// The relation of a table of a source.
    fn source(&self, source: &str, table: &str) -> Result<Relation, String>;
}

/// Everything about one render.
#[derive(Clone)]
pub(crate) struct Scope {
    /// False while the project is read.
    pub(crate) execute: bool,
    /// The model's relation.
    pub(crate) this: Option<Relation>,
    /// The model's name.
    pub(crate) model: String,
    /// Its configuration as far as known.
    pub(crate) config: BTreeMap<String, Value>,
    /// What `is_incremental()` says.
    pub(crate) is_incremental: bool,
    /// The project's variables.
    pub(crate) vars: Arc<BTreeMap<String, Value>>,
    /// Environment variables that a unit test sets.
    pub(crate) env_vars: BTreeMap<String, String>,
    /// Macros that a unit test replaces by a value.
    pub(crate) macros: BTreeMap<String, Value>,
    /// Finds refs and sources.
    pub(crate) resolver: Arc<dyn Resolver>,
}

/// What a template asked for while it was rendered.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Models that it refers to.
    pub(crate) refs: BTreeSet<String>,
    /// Sources that it reads.
    pub(crate) sources: BTreeSet<(String, String)>,
    /// The arguments of `config(...)` in the order given.
    pub(crate) config: Vec<(String, Value)>,
}

pub(crate) type Shared = Arc<Mutex<Collected>>;

impl Collected {
    pub(crate) fn take(shared: &Shared) -> Self {
        std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn note(shared: &Shared, act: impl FnOnce(&mut Collected)) {
    act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
}

fn invalid(detail: impl Into<String>) -> JinjaError {
    JinjaError::new(ErrorKind::InvalidOperation, detail.into())
}

/// Functions and filters that are the same in every render.
pub(crate) fn add_functions(env: &mut Environment<'static>) {
    env.add_function("return", return_value);
    env.add_function("growing_list", python::growing_list);
    env.add_function("log", |_: Rest<Value>| "");
    env.add_function("print", |_: Rest<Value>| "");
    for name in ["run_query", "statement", "load_result", "load_relation"] {
        env.add_function(name, move |_: Rest<Value>| -> Result<Value, JinjaError> {
            Err(invalid(format!("{name} is not supported: a model's SQL must not depend on what a query gives")))
        });
    }
    for name in ["as_text", "as_bool", "as_native", "as_number"] {
        env.add_filter(name, |value: Value| value);
    }
    env.add_global("exceptions", Value::from_object(Exceptions));
    env.add_global(
        "target",
        Value::from_pairs([
            ("name", TARGET_TYPE),
            ("type", TARGET_TYPE),
            ("schema", "gold"),
            ("profile_name", "streamreel"),
        ]),
    );
}

impl Scope {
    /// An environment for one render and the place where it notes what was asked for.
    pub(super) fn environment(&self, jinja: &Jinja) -> (Environment<'static>, Shared) {
        let mut env = jinja.env.clone();
        let shared = Shared::default();
        let macros = self.macros(jinja);
        for (name, value) in macros.iter() {
            env.add_global(name.clone(), value.clone());
        }
        env.add_global("adapter", Value::from_object(Adapter { macros: macros.clone() }));
        let own = Namespace { name: jinja.project.clone(), macros: macros.clone() };
        env.add_global(jinja.project.clone(), Value::from_object(own));
        env.add_global("dbt", Value::from_object(Namespace { name: "dbt".to_owned(), macros }));
        env.add_global("project_name", jinja.project.clone());
        env.add_global("execute", self.execute);
        env.add_global("_is_incremental", self.is_incremental);
        env.add_global("model", Value::from_pairs([("name", self.model.as_str())]));
        if let Some(this) = &self.this {
            env.add_global("this", Value::from_object(this.clone()));
        }
        env.add_global("config", Value::from_object(Config { known: self.config.clone(), shared: shared.clone() }));
        env.add_global("var", Value::from_object(Vars(self.vars.clone())));
        let overrides = self.env_vars.clone();
        env.add_function("env_var", move |name: &str, default: Option<String>| env_var(&overrides, name, default));
        self.add_lookups(&mut env, jinja, &shared);
        (env, shared)
    }

    fn add_lookups(&self, env: &mut Environment<'static>, jinja: &Jinja, shared: &Shared) {
        let (resolver, noted, project) = (self.resolver.clone(), shared.clone(), jinja.project.clone());
        env.add_function("ref", move |first: &str, second: Option<String>| {
            let name = match &second {
                None => first,
                Some(_) if first != project => {
                    return Err(invalid(format!(
                        "ref('{first}', ...): there is no project `{first}`; this one is `{project}`"
                    )));
                }
                Some(name) => name,
            };
            note(&noted, |collected| {
                collected.refs.insert(name.to_owned());
            });
            resolver.model(name).map(Value::from_object).map_err(invalid)
        });
        let (resolver, noted) = (self.resolver.clone(), shared.clone());
        env.add_function("source", move |source: &str, table: &str| {
            note(&noted, |collected| {
                collected.sources.insert((source.to_owned(), table.to_owned()));
            });
            resolver.source(source, table).map(Value::from_object).map_err(invalid)
        });
    }

    /// The project's macros with those replaced that a unit test overrides.
    fn macros(&self, jinja: &Jinja) -> MacroTable {
        if self.macros.is_empty() {
            return jinja.macros.clone();
        }
        let mut table = (*jinja.macros).clone();
        for (name, value) in &self.macros {
            let value = value.clone();
            let name = name.rsplit('.').next().unwrap_or(name).to_owned();
            table.insert(name, Value::from_function(move |_: Rest<Value>| value.clone()));
        }
        Arc::new(table)
    }
}

fn env_var(overrides: &BTreeMap<String, String>, name: &str, default: Option<String>) -> Result<String, JinjaError> {
    overrides
        .get(name)
        .cloned()
        .or_else(|| std::env::var(name).ok())
        .or(default)
        .ok_or_else(|| invalid(format!("environment variable {name} is not set, and env_var('{name}') has no default")))
}

/// dbt's `config`: called it notes, `config.get` reads.
#[derive(Debug)]
struct Config {
    known: BTreeMap<String, Value>,
    shared: Shared,
}

impl Object for Config {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, JinjaError> {
        let (positional, kwargs): (Rest<Value>, Kwargs) = minijinja::value::from_args(args)?;
        let mut given: Vec<(String, Value)> = Vec::new();
        for map in positional.iter() {
            for key in map.try_iter()? {
                given.push((key.to_string(), map.get_item(&key)?));
            }
        }
        for key in kwargs.args() {
            given.push((key.to_owned(), kwargs.get(key)?));
        }
        note(&self.shared, |collected| collected.config.extend(given));
        Ok(Value::from(""))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
        let key = args.first().and_then(Value::as_str).unwrap_or_default();
        match (method, self.known.get(key)) {
            ("get" | "require", Some(value)) => Ok(value.clone()),
            ("get", None) => Ok(args.get(1).cloned().unwrap_or_else(|| Value::from(()))),
            ("require", None) => Err(invalid(format!("the model has no config `{key}`"))),
            _ => Err(invalid(format!("config.{method} is not supported; get and require are"))),
        }
    }
}

/// dbt's `var`.
struct Vars(Arc<BTreeMap<String, Value>>);

impl fmt::Debug for Vars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("var")
    }
}

impl Object for Vars {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, JinjaError> {
        let (name, default): (&str, Option<Value>) = minijinja::value::from_args(args)?;
        self.0.get(name).cloned().or(default).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
            invalid(format!("var('{name}') is not set and has no default; vars of the project: {}", known.join(", ")))
        })
    }
}

/// dbt's `exceptions`.
#[derive(Debug)]
struct Exceptions;

impl Object for Exceptions {
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
        let message = args.first().map(Value::to_string).unwrap_or_default();
        match method {
            "raise_compiler_error" => Err(invalid(message)),
            "warn" => Ok(Value::from("")),
            _ => Err(JinjaError::from(ErrorKind::UnknownMethod)),
        }
    }
}
