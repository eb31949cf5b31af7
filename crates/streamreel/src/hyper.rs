//! Tableau's Hyper extracts. The library that writes them is Tableau's own and exists for Python, not for Rust; it is
//! installed from PyPI the first time that it is needed, into an environment of its own in the user's cache.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::output::Printer;

/// Tableau's library, as pip names it. Another version is another test.
const PACKAGE: &str = "tableauhyperapi==0.0.26963";
/// Name of its environment in the cache; a new version gets a new one.
const ENVIRONMENT: &str = "hyper-0.0.26963";
const SCRIPT: &str = include_str!("hyper.py");
const PYTHON: &str = "python3";
/// Lines of what a failed program said that are passed on. pip says the reason last.
const LAST_LINES: usize = 3;

/// A table of an extract.
#[derive(Debug)]
pub struct Source {
    /// Its name in the extract.
    pub table: String,
    /// Its rows, as a Parquet file.
    pub parquet: PathBuf,
    /// How many there are.
    pub rows: u64,
}

/// Writes an extract of all tables to `to`, whose name must end in `.hyper`.
///
/// # Errors
/// If there is no Python, Tableau's library can't be installed, or the extract does not get all rows.
pub fn write(to: &Path, tables: &[Source], printer: Printer) -> Result<()> {
    let mut command = Command::new(python(printer)?);
    command.args(["-c", SCRIPT]).arg(to);
    for table in tables {
        command.arg(&table.table).arg(&table.parquet);
    }
    let ran = run(&mut command)?;
    ensure!(ran.status.success(), "Tableau's library can't write the extract: {}", last_lines(&ran));
    let written: BTreeMap<String, u64> =
        serde_json::from_slice(&ran.stdout).context("Tableau's library did not say what it wrote")?;
    for Source { table, rows, .. } in tables {
        let there = written.get(table).copied().unwrap_or_default();
        ensure!(there == *rows, "the extract has {there} rows of {table} where there are {rows}");
    }
    Ok(())
}

/// A Python that has the library: one that we made before, the user's own, or a new one.
fn python(printer: Printer) -> Result<PathBuf> {
    let folder = cache()?.join(ENVIRONMENT);
    let ours = folder.join("bin/python");
    if ours.is_file() && has_library(&ours)? {
        return Ok(ours);
    }
    let theirs = PathBuf::from(PYTHON);
    let found = has_library(&theirs).with_context(|| {
        "hyper extracts are written by Tableau's library for Python; install Python 3 with venv, or export csv, which \
         Tableau also reads"
    })?;
    if found {
        return Ok(theirs);
    }
    printer.remark(format!("installing Tableau's {PACKAGE} from PyPI into {} (once, 90 MB to load)", folder.display()));
    install(&folder)?;
    Ok(ours)
}

fn has_library(python: &Path) -> Result<bool> {
    Ok(run(Command::new(python).args(["-c", "import tableauhyperapi"]))?.status.success())
}

/// Makes the environment beside its place and moves it there whole, so that one that is there is complete.
fn install(folder: &Path) -> Result<()> {
    // One that is there has lost its Python, to an upgrade.
    let _ = std::fs::remove_dir_all(folder);
    let staged = folder.with_extension(format!("new-{}", std::process::id()));
    let made = make_environment(&staged).and_then(|()| match std::fs::rename(&staged, folder) {
        Err(_) if folder.join("bin/python").is_file() => Ok(()), // another export was faster
        moved => moved.with_context(|| format!("can't make {}", folder.display())),
    });
    // What did not get to its place is of no use.
    let _ = std::fs::remove_dir_all(&staged);
    made
}

fn make_environment(folder: &Path) -> Result<()> {
    let made = run(Command::new(PYTHON).args(["-m", "venv"]).arg(folder))?;
    if !made.status.success() {
        bail!(
            "can't make a Python environment in {}: {}; install Python's venv (Debian: apt install python3-venv), or \
             export csv, which Tableau also reads",
            folder.display(),
            last_lines(&made)
        );
    }
    let pip =
        ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", PACKAGE];
    let installed = run(Command::new(folder.join("bin/python")).args(pip))?;
    if !installed.status.success() {
        bail!(
            "can't install {PACKAGE} from PyPI: {}; where there is no network, install it beforehand for `{PYTHON}`, or \
             export csv, which Tableau also reads",
            last_lines(&installed)
        );
    }
    Ok(())
}

/// The user's cache of what this program fetched, as the XDG base directories say.
fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let base = base.ok_or_else(|| anyhow!("neither XDG_CACHE_HOME nor HOME says where to keep Tableau's library"))?;
    let folder = base.join("streamreel");
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    Ok(folder)
}

fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).output().with_context(|| format!("can't start {program}"))
}

/// The end of what a program said before it failed; venv says it on stdout, pip and Python on stderr.
fn last_lines(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].map(String::from_utf8_lossy);
    let lines: Vec<&str> = said.iter().flat_map(|text| text.lines()).map(str::trim).filter(|l| !l.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join(" / ")
}
