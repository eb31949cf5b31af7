//! The order of models: each after those that it reads.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::project::Model;

/// Names in an order in which everything that a model reads comes before it; the same for the same project.
///
/// # Errors
/// [`Error::Cycle`] with one circle.
pub(crate) fn order(models: &BTreeMap<String, Model>) -> Result<Vec<String>> {
    let edges: BTreeMap<&str, Vec<&str>> =
        models.iter().map(|(name, model)| (name.as_str(), model.refs.iter().map(String::as_str).collect())).collect();
    sort(&edges)
}

fn sort(edges: &BTreeMap<&str, Vec<&str>>) -> Result<Vec<String>> {
    let mut done = BTreeSet::new();
    let mut order = Vec::new();
    for name in edges.keys() {
        visit(name, edges, &mut Vec::new(), &mut done, &mut order)?;
    }
    Ok(order)
}

fn visit<'a>(
    name: &'a str,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    order: &mut Vec<String>,
) -> Result<()> {
    if done.contains(name) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|other| *other == name) {
        let mut circle: Vec<String> = path[start..].iter().map(|name| (*name).to_owned()).collect();
        circle.push(name.to_owned());
        return Err(Error::Cycle { path: circle });
    }
    path.push(name);
    for next in edges.get(name).into_iter().flatten() {
        visit(next, edges, path, done, order)?;
    }
    path.pop();
    if edges.contains_key(name) {
        order.push(name.to_owned());
    }
    done.insert(name);
    Ok(())
}

/// Everything that can be reached from `start` against the arrows (`up`: what it reads) or along them (what reads it).
pub(crate) fn reachable(models: &BTreeMap<String, Model>, start: &str, up: bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(name) = open.pop() {
        let next: Vec<String> = if up {
            models.get(&name).map(|model| model.refs.iter().cloned().collect()).unwrap_or_default()
        } else {
            models.values().filter(|model| model.refs.contains(&name)).map(|model| model.name.clone()).collect()
        };
        open.extend(next.into_iter().filter(|name| found.insert(name.clone())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_and_names_circles() {
        let edges = BTreeMap::from([("a", vec!["c"]), ("b", vec!["a"]), ("c", vec![])]);
        assert_eq!(sort(&edges).unwrap(), ["c", "a", "b"]);
        let circle = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"])]);
        assert_eq!(sort(&circle).unwrap_err().to_string(), "models refer to each other in a circle: b -> c -> b");
    }
}
