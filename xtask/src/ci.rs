//! Everything that a change must pass, cheapest first.

use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{command, program, python, step, target};
use crate::{conformance, crash, kafka, s3, tidy};

/// Versions that read the lake today; another version is another test.
const READERS: [&str; 6] =
    ["deltalake==1.6.*", "pyarrow", "polars", "duckdb==1.5.5", "duckdb-extensions", "duckdb-extension-delta==1.5.5"];

/// Few events through those engines that are soon installed; `cargo xtask conformance` takes all of them.
const ENGINES: [&str; 7] = ["--quick", "--engine", "package", "--engine", "dbt-duckdb", "--engine", "spark"];

/// What people and programs look at, each driven by the clients that it is for.
const SURFACES: [(&str, &str); 5] = [
    ("page", "tests/page/run.py"),
    ("SQL clients", "tests/sql/run.py"),
    ("exports", "tests/exports/run.py"),
    ("surfaces", "tests/surfaces/run.py"),
    ("deployment", "tests/deploy/run.py"),
];

/// The Python package is a workspace of its own.
const PYTHON: &str = "python/Cargo.toml";

/// Runs all of it.
pub fn run() -> Result<()> {
    step("fmt", &mut command("cargo", &["fmt", "--all", "--check"]))?;
    step("fmt of the Python package", &mut command("cargo", &["fmt", "--check", "--manifest-path", PYTHON]))?;
    eprintln!("==> tidy");
    tidy::run()?;
    step(
        "clippy",
        &mut command("cargo", &["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    )?;
    step("tests", &mut command("cargo", &["test", "--release", "--workspace"]))?;
    step("build", &mut command("cargo", &["build", "--release", "--workspace"]))?;
    step("clippy of the Python package", &mut python_clippy())?;
    conformance::compare(&ENGINES.map(str::to_owned))?;
    kafka::run()?;
    s3::run()?;
    eprintln!("==> crash");
    crash::run(&[])?;
    let home = tempdir()?;
    let home_text = home.to_string_lossy();
    step("demo", &mut command(program(), &["--home", &home_text, "demo"]))?;
    let readers = python("readers-venv", &READERS)?;
    step("other readers", &mut command(readers, &["tests/interop/read_lake.py", &home_text]))?;
    std::fs::remove_dir_all(&home).with_context(|| format!("can't remove {}", home.display()))?;
    for (name, script) in SURFACES {
        step(name, &mut command("python3", &[script]))?;
    }
    Ok(())
}

fn python_clippy() -> Command {
    let args =
        ["clippy", "--release", "--locked", "--all-targets", "--manifest-path", PYTHON, "--", "--deny", "warnings"];
    let mut clippy = command("cargo", &args);
    clippy.env("CARGO_TARGET_DIR", target().join("python"));
    clippy
}

fn tempdir() -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("streamreel-ci-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    Ok(folder.join("home"))
}
