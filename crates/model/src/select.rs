//! Which models a command is about: `name`, `+name` (with what it reads), `name+` (with what reads it), `tag:x`,
//! `path:models/gold` or a path. Several, separated by spaces or commas, add up.

use std::collections::BTreeSet;

use crate::error::{Error, Result, nearest};
use crate::graph::reachable;
use crate::project::Project;

const FORMS: &str = "name, +name, name+, tag:x, path:models/gold; several add up";

/// The names of the selected models. No selector selects all.
///
/// # Errors
/// [`Error::Select`] for a selector that matches nothing.
pub(crate) fn select(project: &Project, select: &[String], exclude: &[String]) -> Result<BTreeSet<String>> {
    let mut chosen = union(project, select)?.unwrap_or_else(|| project.models.keys().cloned().collect());
    if let Some(excluded) = union(project, exclude)? {
        chosen.retain(|name| !excluded.contains(name));
    }
    Ok(chosen)
}

fn union(project: &Project, selectors: &[String]) -> Result<Option<BTreeSet<String>>> {
    let mut parts = selectors.iter().flat_map(|text| text.split([' ', ','])).filter(|part| !part.is_empty()).peekable();
    if parts.peek().is_none() {
        return Ok(None);
    }
    let mut found = BTreeSet::new();
    for part in parts {
        found.extend(one(project, part)?);
    }
    Ok(Some(found))
}

fn one(project: &Project, selector: &str) -> Result<BTreeSet<String>> {
    let (up, rest) = selector.strip_prefix('+').map_or((false, selector), |rest| (true, rest));
    let (down, core) = rest.strip_suffix('+').map_or((false, rest), |rest| (true, rest));
    let mut found = matching(project, core);
    if found.is_empty() {
        let names = project.models.keys().map(String::as_str);
        let near =
            nearest(core, names.clone()).or_else(|| names.clone().find(|name| name.ends_with(&format!("__{core}"))));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let detail = format!("matches no model{hint} (forms: {FORMS})");
        return Err(Error::Select { selector: selector.to_owned(), detail });
    }
    for name in found.clone() {
        if up {
            found.extend(reachable(&project.models, &name, true));
        }
        if down {
            found.extend(reachable(&project.models, &name, false));
        }
    }
    found.retain(|name| project.models.contains_key(name));
    Ok(found)
}

fn matching(project: &Project, core: &str) -> BTreeSet<String> {
    let models = project.models.values();
    let names =
        |keep: &dyn Fn(&crate::Model) -> bool| models.clone().filter(|m| keep(m)).map(|m| m.name.clone()).collect();
    if let Some(tag) = core.strip_prefix("tag:") {
        return names(&|model| model.tags().iter().any(|own| own == tag));
    }
    if core.starts_with("path:") || core.contains('/') {
        let path = core.trim_start_matches("path:").trim_end_matches("/*").trim_end_matches('/');
        return names(&|model| model.file == path || model.file.starts_with(&format!("{path}/")));
    }
    // The table's name in SQL will do, too.
    names(&|model| model.name == core || model.relation() == core)
}
