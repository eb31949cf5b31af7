//! Macros across files: each is a template of its own and a callable name; `return`, `adapter.dispatch` and the
//! namespaces `project.name` and `dbt.name`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Object, Value};
use minijinja::{Error as JinjaError, ErrorKind, State};

use super::blocks::BODY;
use crate::error::nearest;

/// The target that macros are dispatched for.
pub(crate) const TARGET_TYPE: &str = "datafusion";

/// Macros that may be under way within each other. Each is a render of its own, so that the template engine's own
/// limit does not see a macro that calls itself for ever; this many fit the stack of any thread.
const DEEPEST: usize = 25;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One macro call under way on this thread.
struct Level;

impl Level {
    fn enter(name: &str) -> Result<Self, JinjaError> {
        let depth = DEPTH.get();
        if depth >= DEEPEST {
            let detail = format!("{name}: more than {DEEPEST} macros call each other; does one call itself for ever?");
            return Err(JinjaError::new(ErrorKind::InvalidOperation, detail));
        }
        DEPTH.set(depth + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// A macro as a value: calling it renders its template.
#[derive(Debug, Clone)]
pub(crate) struct MacroRef {
    template: String,
}

impl MacroRef {
    pub(crate) fn new(template: impl Into<String>) -> Self {
        Self { template: template.into() }
    }
}

impl Object for MacroRef {
    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, JinjaError> {
        let _level = Level::enter(&self.template)?;
        let template = state.env().get_template(&self.template)?;
        let mut captured = template.render_captured(())?;
        let result = captured.with_state_mut(|inner| {
            let body = inner.lookup(BODY).ok_or_else(|| {
                JinjaError::new(ErrorKind::UnknownFunction, format!("{} defines no macro", self.template))
            })?;
            body.call(inner, args)
        });
        result.or_else(|error| returned(&error).ok_or(error))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<macro {}>", self.template)
    }
}

/// `return(value)` leaves a macro through the error path; the call takes the value out again.
#[derive(Debug)]
struct Returned(Value);

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("return() stands outside of a macro")
    }
}

impl std::error::Error for Returned {}

/// dbt's `return`.
pub(crate) fn return_value(value: Value) -> Result<Value, JinjaError> {
    Err(JinjaError::new(ErrorKind::InvalidOperation, "return() stands outside of a macro").with_source(Returned(value)))
}

fn returned(error: &JinjaError) -> Option<Value> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(Returned(value)) = inner.downcast_ref() {
            return Some(value.clone());
        }
        cause = inner.source();
    }
    None
}

/// All macros by name, shared by the objects below.
pub(crate) type MacroTable = Arc<BTreeMap<String, Value>>;

/// `dbt` or the project's name: `streamreel.exact_sum(x)`.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) macros: MacroTable,
}

impl Object for Namespace {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.macros.get(key.as_str()?).cloned()
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, JinjaError> {
        match self.macros.get(method) {
            Some(found) => found.call(state, args),
            None => Err(unknown(&format!("{}.{method}", self.name), method, &self.macros)),
        }
    }
}

fn unknown(full: &str, name: &str, macros: &MacroTable) -> JinjaError {
    let hint = nearest(name, macros.keys().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
    JinjaError::new(ErrorKind::UnknownFunction, format!("there is no macro `{full}`{}", hint.unwrap_or_default()))
}

/// dbt's `adapter`, of which `dispatch` is there.
#[derive(Debug)]
pub(crate) struct Adapter {
    pub(crate) macros: MacroTable,
}

impl Object for Adapter {
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
        if method != "dispatch" {
            return Err(JinjaError::new(
                ErrorKind::InvalidOperation,
                format!("adapter.{method} is not supported; adapter.dispatch(name, project) is"),
            ));
        }
        let Some(name) = args.first().and_then(Value::as_str) else {
            return Err(JinjaError::new(ErrorKind::MissingArgument, "adapter.dispatch needs the macro's name"));
        };
        [TARGET_TYPE, "default"]
            .iter()
            .find_map(|prefix| self.macros.get(&format!("{prefix}__{name}")).cloned())
            .ok_or_else(|| unknown(&format!("{TARGET_TYPE}__{name}` or `default__{name}"), name, &self.macros))
    }
}
