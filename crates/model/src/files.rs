//! The files of a project, from a folder or from the binary.

use std::collections::BTreeMap;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::error::{Error, Result};

static MODELS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../dbt/models");
static MACROS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../dbt/macros");
static TESTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../dbt/tests");
static PROJECT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dbt/dbt_project.yml"));

/// Path inside the project (with `/`) to text.
pub(crate) type Files = BTreeMap<String, String>;

/// The project that the binary was built with.
pub(crate) fn embedded() -> Files {
    let mut files = Files::from([("dbt_project.yml".to_owned(), PROJECT.to_owned())]);
    for (folder, dir) in [("models", &MODELS), ("macros", &MACROS), ("tests", &TESTS)] {
        collect(folder, dir, &mut files);
    }
    files
}

fn collect(folder: &str, dir: &Dir<'_>, files: &mut Files) {
    for file in dir.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if let (true, Some(text)) = (is_project_file(&path), file.contents_utf8()) {
            files.insert(format!("{folder}/{path}"), text.to_owned());
        }
    }
    for inner in dir.dirs() {
        collect(folder, inner, files);
    }
}

/// Everything of a folder that a project may consist of.
pub(crate) fn read(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    walk(root, "", &mut files)?;
    Ok(files)
}

fn walk(root: &Path, inside: &str, files: &mut Files) -> Result<()> {
    let folder = root.join(inside);
    let failed = |source| Error::ReadProject { path: folder.clone(), source };
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inside.is_empty() { name.clone() } else { format!("{inside}/{name}") };
        if entry.path().is_dir() {
            // dbt's own output, downloaded packages and hidden folders are no part of the project.
            if !name.starts_with('.') && !matches!(name.as_str(), "target" | "logs" | "dbt_packages") {
                walk(root, &path, files)?;
            }
        } else if is_project_file(&name) {
            let text = std::fs::read_to_string(entry.path())
                .map_err(|source| Error::ReadProject { path: entry.path(), source })?;
            files.insert(path, text);
        }
    }
    Ok(())
}

fn is_project_file(name: &str) -> bool {
    [".sql", ".yml", ".yaml", ".csv", ".py"].iter().any(|end| name.ends_with(end))
}
