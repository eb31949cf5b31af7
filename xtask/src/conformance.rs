//! Other engines against the program: the same rows from each.

use std::process::Command;

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::tools::{ALL, command, step};

/// The engines that `conformance/run.py` knows, the lighter ones first.
pub const ENGINES: [&str; 7] = ["package", "kafka", "dbt-duckdb", "dbt-spark", "airflow", "flink", "spark"];

/// What to compare with.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this engine, or all; may be repeated
    #[arg(long = "engine", value_name = "NAME", value_parser = PossibleValuesParser::new(ENGINES.into_iter().chain([ALL])))]
    engines: Vec<String>,
    /// Few events through each
    #[arg(long)]
    quick: bool,
    /// Leave the lakes where they are
    #[arg(long)]
    keep: bool,
}

/// Builds the program and compares (`conformance/run.py`, which installs the engines by their lock files).
pub fn run(args: &Args) -> Result<()> {
    step("build", &mut command("cargo", &["build", "--release", "--workspace"]))?;
    let engines = args.engines.iter().flat_map(|name| ["--engine", name]);
    let flags = [("--quick", args.quick), ("--keep", args.keep)]
        .into_iter()
        .filter_map(|(flag, is_set)| is_set.then_some(flag));
    step("conformance", &mut comparison(&engines.chain(flags).map(str::to_owned).collect::<Vec<_>>()))
}

/// The command that compares, with the program as it is built.
pub fn comparison(args: &[String]) -> Command {
    let mut command = command("python3", &["conformance/run.py"]);
    command.args(args);
    command
}
