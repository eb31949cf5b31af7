//! Other engines against the program: the same rows from each.

use std::process::Command;

use anyhow::Result;

use crate::tools::{command, step};

/// The engines that `conformance/run.py` knows, the lighter ones first.
pub const ENGINES: [&str; 7] = ["package", "kafka", "dbt-duckdb", "dbt-spark", "airflow", "flink", "spark"];

/// Builds the program and compares (`conformance/run.py`, which installs the engines by their lock files).
pub fn run(args: &[String]) -> Result<()> {
    step("build", &mut command("cargo", &["build", "--release", "--workspace"]))?;
    step("conformance", &mut comparison(args))
}

/// The command that compares, with the program as it is built.
pub fn comparison(args: &[String]) -> Command {
    let mut command = command("python3", &["conformance/run.py"]);
    command.args(args);
    command
}
