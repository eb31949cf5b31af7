//! Rules that a compiler does not know: every file says what it is for, and crates depend one way.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools::{command, root};

/// Which of our crates each may use. Whatever is not here may use none.
const EDGES: &[(&str, &[&str])] = &[
    ("streamreel-dedupe", &[]),
    ("streamreel-event", &[]),
    ("streamreel-topic", &[]),
    ("streamreel-lake", &[]),
    ("streamreel-viewing", &["streamreel-event"]),
    ("streamreel-simulate", &["streamreel-event"]),
    ("streamreel-process", &["streamreel-dedupe", "streamreel-event", "streamreel-topic", "streamreel-lake"]),
    ("streamreel-enrich", &["streamreel-viewing", "streamreel-lake"]),
    ("streamreel-model", &["streamreel-lake"]),
    ("streamreel-audit", &["streamreel-viewing", "streamreel-lake", "streamreel-topic"]),
    (
        "streamreel-serve",
        &["streamreel-event", "streamreel-viewing", "streamreel-topic", "streamreel-lake", "streamreel-audit"],
    ),
    ("streamreel-sql", &["streamreel-lake"]),
    ("xtask", &[]),
];
/// The binary wires everything.
const BINARY: &str = "streamreel";
/// Libraries that only one crate may name.
const OWNED: &[(&str, &str)] = &[
    ("deltalake", "streamreel-lake"),
    ("rusqlite", "streamreel-topic"),
    ("rdkafka", "streamreel-topic"),
    ("minijinja", "streamreel-model"),
];
/// Crates that build in seconds because the query engine is not below them.
const LIGHT: &[&str] =
    &["streamreel-dedupe", "streamreel-event", "streamreel-viewing", "streamreel-simulate", "streamreel-topic"];
/// A longer file has more than one thing to say.
const LONGEST_FILE: usize = 600;

/// Checks all rules and reports every breach.
pub fn run() -> Result<()> {
    let mut breaches = Vec::new();
    for file in rust_files()? {
        check_file(&file, &mut breaches)?;
    }
    check_edges(&mut breaches)?;
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches\n  {}", breaches.len(), breaches.join("\n  "))
}

fn rust_files() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in ["crates", "python", "xtask"] {
        walk(&root().join(folder), &mut found)?;
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("can't list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                walk(&path, found)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn check_file(file: &Path, breaches: &mut Vec<String>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    let name = file.strip_prefix(root()).unwrap_or(file).display().to_string();
    if !text.starts_with("//!") {
        breaches.push(format!("{name}: does not begin with what it is for (//!)"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        breaches.push(format!("{name}: {lines} lines; split it by what it does (at most {LONGEST_FILE})"));
    }
    Ok(())
}

fn check_edges(breaches: &mut Vec<String>) -> Result<()> {
    let output = command("cargo", &["metadata", "--format-version", "1", "--no-deps"]).output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gave no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        for dependency in dependencies {
            // What only tests use says nothing of the design.
            if dependency["kind"].as_str() != Some("dev") {
                check_edge(name, dependency["name"].as_str().unwrap_or_default(), breaches);
            }
        }
    }
    Ok(())
}

fn check_edge(from: &str, to: &str, breaches: &mut Vec<String>) {
    let allowed = EDGES.iter().find(|(name, _)| *name == from).map(|(_, allowed)| *allowed);
    match allowed {
        None if from != BINARY => breaches.push(format!("{from} is not in the map of crates (xtask/src/tidy.rs)")),
        Some(allowed) if to.starts_with("streamreel") && !allowed.contains(&to) => {
            breaches.push(format!("{from} may not depend on {to}"));
        }
        _ => {}
    }
    if let Some((library, owner)) = OWNED.iter().find(|(library, owner)| *library == to && *owner != from) {
        breaches.push(format!("{from} names {library}; only {owner} does"));
    }
    if LIGHT.contains(&from) && (to == "datafusion" || to == "deltalake") {
        breaches.push(format!("{from} must build without {to}"));
    }
}
