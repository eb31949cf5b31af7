//! Running programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The repository's root. Asked of cargo each time, not when this was compiled: clones may share a target directory.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().map(Path::to_owned).unwrap_or_default()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The program, as `cargo build --release` leaves it.
pub fn program() -> PathBuf {
    target().join("release/streamreel")
}

/// A command in the repository's root.
pub fn command(program: impl AsRef<Path>, args: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(args).current_dir(root());
    // What cargo tells this program about itself. Build scripts below us watch some of it, and with it the whole stack would be
    // compiled again whenever cargo is called by hand in between.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        command.env_remove(name);
    }
    command
}

/// Cargo for the whole workspace: for a part of it libraries would be compiled again, with other features.
pub fn cargo(verb: &str, args: &[&str]) -> Command {
    let mut command = command("cargo", &[verb, "--workspace"]);
    command.args(args);
    command
}

/// Runs a step of a longer run; says its name and how long it took.
pub fn step(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {name}");
    let began = Instant::now();
    let status = command.status().with_context(|| format!("{name}: can't start {command:?}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    eprintln!("    {name}: {:.0} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// A Python with these packages, in a virtual environment of this name beside the build.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = target().join(name);
    let python = folder.join("bin/python");
    if !python.is_file() {
        step("venv", &mut command("python3", &["-m", "venv", &folder.to_string_lossy()]))?;
    }
    let mut args = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    args.extend(packages);
    step(&format!("install {}", packages.join(", ")), &mut command(&python, &args))?;
    Ok(python)
}
