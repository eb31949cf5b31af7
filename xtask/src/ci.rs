//! Everything that a change must pass, cheapest first.

use std::process::Command;

use anyhow::{Context, Result};

use crate::conformance::{ENGINES, comparison};
use crate::fetch::Fetching;
use crate::tidy;
use crate::tools::{command, print_times, program, side_by_side, step, target};

/// Of what is independent of one another, two at once: most of it waits for a good part of its time.
const AT_ONCE: usize = 2;

/// Tests that `--all-targets` leaves out, as no run of all tests is to need their servers.
const NEED_SERVERS: [&str; 5] = ["kafka", "s3", "group", "login", "crash"];

/// The Python package is a workspace of its own.
const PYTHON: &str = "python/Cargo.toml";

/// Runs all of it, and says what took how long.
pub fn run() -> Result<()> {
    let done = steps();
    print_times();
    done
}

fn steps() -> Result<()> {
    let fetching = Fetching::start();
    step("fmt", &mut command("cargo", &["fmt", "--all", "--check"]))?;
    step("fmt of the Python package", &mut command("cargo", &["fmt", "--check", "--manifest-path", PYTHON]))?;
    // Said now and not by its lints, a quarter of an hour later.
    let lock = ["fetch", "--quiet", "--locked", "--manifest-path", PYTHON];
    step("lock file of the Python package", &mut command("cargo", &lock))?;
    eprintln!("==> tidy");
    tidy::run()?;
    step(
        "clippy",
        &mut command("cargo", &["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    )?;
    let ours = NEED_SERVERS.iter().flat_map(|name| ["--test", *name]);
    let lint = ["clippy", "--release", "--workspace"].into_iter().chain(ours).chain(["--", "--deny", "warnings"]);
    step("clippy of tests that need servers", &mut command("cargo", &lint.collect::<Vec<_>>()))?;
    step("compile", &mut command("cargo", &["test", "--release", "--workspace", "--no-run"]))?;
    step("tests", &mut command("cargo", &["test", "--release", "--workspace", "--no-fail-fast"]))?;
    step("build", &mut command("cargo", &["build", "--release", "--workspace", "--bins", "--examples"]))?;
    step("clippy of the Python package", &mut python_clippy())?;
    fetching.wait()?;
    let home = tempdir()?;
    let home_text = home.to_string_lossy();
    step("demo", &mut command(program(), &["--home", &home_text, "demo"]))?;
    step("other readers", &mut command("python3", &["tests/interop/run.py", &home_text]))?;
    std::fs::remove_dir_all(&home).with_context(|| format!("can't remove {}", home.display()))?;
    // Alone, for it measures how much a server does in a second after it was told to stop.
    step("SQL clients", &mut command("python3", &["tests/sql/run.py"]))?;
    side_by_side(AT_ONCE, independent())
}

/// In the order in which they begin: the longest first, and what promises answers within seconds beside what mostly waits.
fn independent() -> Vec<(&'static str, Command)> {
    let verb = |name, args: &[&str]| (name, command("cargo", &[&["xtask"], args].concat()));
    let script = |name, path| (name, command("python3", &[path]));
    // Few events through each; `cargo xtask full conformance` takes many.
    let quick = |name: &'static str| (name, comparison(&["--quick", "--engine", name].map(str::to_owned)));
    let first = [
        verb("crash on Kafka", &["crash", "kafka"]),
        verb("Kafka", &["kafka"]),
        verb("crash on a store", &["crash", "store"]),
        script("surfaces", "tests/surfaces/run.py"),
        verb("S3", &["s3"]),
        verb("crash on the embedded log", &["crash", "embedded"]),
        script("page", "tests/page/run.py"),
        script("exports", "tests/exports/run.py"),
        script("deployment", "tests/deploy/run.py"),
    ];
    first.into_iter().chain(ENGINES.into_iter().rev().map(quick)).collect()
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
