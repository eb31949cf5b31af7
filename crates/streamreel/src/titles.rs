//! The simulated titles in the home's metadata.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;

use crate::failure::Outcome;
use crate::home::make_folder;

const FILE: &str = "video_metadata.csv";

/// Adds the titles that are not there yet; others stay as they are. A file with other columns is left alone: it is the
/// user's own.
///
/// # Errors
/// If the folder or file can't be read or written.
pub fn keep(folder: &Path, csv: &str) -> Outcome {
    make_folder(folder)?;
    let path = folder.join(FILE);
    let there = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(anyhow::Error::new(error).context(format!("can't read {}", path.display())).into()),
    };
    let Some(text) = merged(&there, csv) else { return Ok(()) };
    // At once, so that a build never reads half of it.
    let staged = folder.join(format!(".{FILE}.{}", std::process::id()));
    std::fs::write(&staged, text).with_context(|| format!("can't write {}", staged.display()))?;
    std::fs::rename(&staged, &path).with_context(|| format!("can't write {}", path.display()))?;
    Ok(())
}

/// The file with the missing rows, or `None` if it stays as it is. Simulated ids need no quotes.
fn merged(there: &str, csv: &str) -> Option<String> {
    if there.trim().is_empty() {
        return Some(csv.to_owned());
    }
    let id = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    if there.lines().next() != csv.lines().next() {
        return None;
    }
    let known: HashSet<String> = there.lines().map(id).collect();
    let missing: Vec<&str> = csv.lines().filter(|line| !known.contains(&id(line))).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!("{}\n{}\n", there.trim_end_matches('\n'), missing.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn titles_are_added_once() {
        let cases = [
            ("", "id,t\na,1\n", Some("id,t\na,1\n")),
            ("id,t\na,1\n", "id,t\na,2\n", None),
            ("id,t\na,1\n", "id,t\na,2\nb,3\n", Some("id,t\na,1\nb,3\n")),
            ("id,name\na,1\n", "id,t\nb,3\n", None),
        ];
        for (there, csv, expected) in cases {
            assert_eq!(merged(there, csv).as_deref(), expected);
        }
    }
}
