//! Other engines against the program: the same rows from each.

use anyhow::Result;

use crate::tools::{command, step};

/// Builds the program and compares (`conformance/run.py`, which installs the engines by their lock files).
pub fn run(args: &[String]) -> Result<()> {
    step("build", &mut command("cargo", &["build", "--release", "--workspace"]))?;
    step("conformance", command("python3", &["conformance/run.py"]).args(args))
}
