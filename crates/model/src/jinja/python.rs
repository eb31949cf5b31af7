//! The methods of Python's strings, lists and mappings that dbt projects use, and lists that can grow.

use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind, from_args};
use minijinja::{Error as JinjaError, ErrorKind, State};

/// Lists of templates can't grow; `{% set x = [...] %}` with a later `x.append` gets one of these instead.
#[derive(Debug, Default)]
struct GrowingList(Mutex<Vec<Value>>);

impl GrowingList {
    fn with<R>(&self, act: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Object for GrowingList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.with(|items| items.get(key.as_usize()?).cloned())
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.with(|items| items.len()))
    }
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
        match method {
            "append" => {
                let (item,): (Value,) = from_args(args)?;
                self.with(|items| items.push(item));
                Ok(Value::from(()))
            }
            "extend" => {
                let (more,): (Value,) = from_args(args)?;
                let more: Vec<Value> = more.try_iter()?.collect();
                self.with(|items| items.extend(more));
                Ok(Value::from(()))
            }
            _ => Err(JinjaError::from(ErrorKind::UnknownMethod)),
        }
    }
}

/// `growing_list(items)`.
pub(crate) fn growing_list(items: Value) -> Result<Value, JinjaError> {
    Ok(Value::from_object(GrowingList(Mutex::new(items.try_iter()?.collect()))))
}

/// Rewrites `{% set x = [...] %}` to a list that grows where the text has `x.append(` or `x.extend(`. Keeps lines.
pub(crate) fn let_lists_grow(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("{%") {
        let Some(length) = rest[open..].find("%}") else { break };
        let (tag, after) = rest[open..].split_at(length + 2);
        out.push_str(&rest[..open]);
        out.push_str(&growing_set(tag, text).unwrap_or_else(|| tag.to_owned()));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn growing_set(tag: &str, text: &str) -> Option<String> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let (name, value) = inner.trim_start_matches(['-', ' ', '\n']).strip_prefix("set ")?.split_once('=')?;
    let (name, list) = (name.trim(), value.trim_end_matches(['-', ' ', '\n']).trim());
    let grows = text.contains(&format!("{name}.append(")) || text.contains(&format!("{name}.extend("));
    if !grows || !list.starts_with('[') || !list.ends_with(']') {
        return None;
    }
    Some(tag.replacen(list, &format!("growing_list({list})"), 1))
}

/// Methods of plain values.
pub(crate) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, JinjaError> {
    match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => map_method(state, value, method, args),
        ValueKind::Seq if matches!(method, "append" | "extend") => Err(JinjaError::new(
            ErrorKind::UnknownMethod,
            format!("`{method}` works on a list set by {{% set name = [...] %}} in the same file; this one can't grow"),
        )),
        _ => Err(JinjaError::from(ErrorKind::UnknownMethod)),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
    let argument = |index: usize| {
        args.get(index).and_then(Value::as_str).ok_or_else(|| {
            JinjaError::new(ErrorKind::MissingArgument, format!("str.{method} needs text as argument {}", index + 1))
        })
    };
    Ok(match method {
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "strip" => Value::from(text.trim()),
        "lstrip" => Value::from(text.trim_start()),
        "rstrip" => Value::from(text.trim_end()),
        "startswith" => Value::from(text.starts_with(argument(0)?)),
        "endswith" => Value::from(text.ends_with(argument(0)?)),
        "replace" => Value::from(text.replace(argument(0)?, argument(1)?)),
        "split" if args.is_empty() => Value::from(text.split_whitespace().map(Value::from).collect::<Vec<_>>()),
        "split" => Value::from(text.split(argument(0)?).map(Value::from).collect::<Vec<_>>()),
        "join" => {
            let items: Vec<String> = args
                .first()
                .map_or(Ok(Vec::new()), |list| list.try_iter().map(|i| i.map(|v| v.to_string()).collect()))?;
            Value::from(items.join(text))
        }
        _ => return Err(JinjaError::from(ErrorKind::UnknownMethod)),
    })
}

fn map_method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, JinjaError> {
    match method {
        "items" => state.apply_filter("items", std::slice::from_ref(value)),
        "keys" => Ok(Value::from(value.try_iter()?.collect::<Vec<_>>())),
        "values" => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            Ok(Value::from(keys.iter().map(|key| value.get_item(key)).collect::<Result<Vec<_>, _>>()?))
        }
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(&key)?;
            Ok(if found.is_undefined() { default.unwrap_or_else(|| Value::from(())) } else { found })
        }
        _ => Err(JinjaError::from(ErrorKind::UnknownMethod)),
    }
}
