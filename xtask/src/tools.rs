//! Running programs.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Names all that are known, where a flag takes names.
pub const ALL: &str = "all";

/// Those of the known that are wanted; all where none is named, or [`ALL`].
pub fn chosen(wanted: &[String], known: &[&'static str]) -> Vec<&'static str> {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name || wanted == ALL);
    known.iter().copied().filter(|name| is_wanted(name)).collect()
}

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
    took(name, began);
    Ok(())
}

/// What has been run, and the seconds that it took.
static TIMES: Mutex<Vec<(String, f64)>> = Mutex::new(Vec::new());

/// Says and remembers how long something took.
pub fn took(name: &str, began: Instant) {
    let took_s = began.elapsed().as_secs_f64();
    eprintln!("    {name}: {took_s:.0} s");
    TIMES.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), took_s));
}

/// A table of what has been run.
pub fn print_times() {
    for (name, took_s) in TIMES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        eprintln!("{took_s:>6.0} s  {name}");
    }
}

/// Runs commands that are independent of one another, so many at once, in the order in which they are named. What one says is shown
/// when it has ended.
///
/// # Errors
/// Names each that failed, with the end of what it said: it may stand far above by then.
pub fn side_by_side(at_once: usize, commands: Vec<(&str, Command)>) -> Result<()> {
    let folder = target().join("gate");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let waiting = Mutex::new(VecDeque::from(commands));
    let failed = Mutex::new(Vec::new());
    // In a function of its own, so that the lock is free again while the command runs.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some((name, command)) = next() {
            if let Err(error) = quietly(name, command, &folder.join(name).with_extension("log")) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..at_once {
            threads.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

/// Lines of a failed command that are worth seeing again, and what they may have in all.
const LAST_LINES: usize = 40;
const LAST_BYTES: u64 = 64 << 10;

fn end_of(said: &mut File) -> io::Result<String> {
    let bytes = said.metadata()?.len();
    said.seek(SeekFrom::Start(bytes.saturating_sub(LAST_BYTES)))?;
    let mut end = Vec::new();
    said.take(LAST_BYTES).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// Runs a command whose output goes to a file, and shows the file.
fn quietly(name: &str, mut command: Command, log: &Path) -> Result<()> {
    eprintln!("... {name} has begun");
    let began = Instant::now();
    let file = File::create(log).with_context(|| format!("can't write {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("can't write {}", log.display()))?;
    let status = command.stdout(file).stderr(errors).status();
    let mut said = File::open(log).with_context(|| format!("can't read {}", log.display()))?;
    // Held until all is shown, so that nothing else comes in between.
    let mut shown = io::stderr().lock();
    writeln!(shown, "==> {name}")?;
    io::copy(&mut said, &mut shown)?;
    drop(shown);
    let status = status.with_context(|| format!("{name}: can't start {command:?}"))?;
    if !status.success() {
        let end = end_of(&mut said).with_context(|| format!("can't read {}", log.display()))?;
        let lines: Vec<&str> = end.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        bail!("{name} failed ({status}); it said at its end:\n    {}", last.join("\n    "));
    }
    took(name, began);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_chosen_or_those_that_are_named() {
        let of = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            chosen(&wanted, &["embedded", "kafka"])
        };
        assert_eq!(of(&[]), ["embedded", "kafka"]);
        assert_eq!(of(&[ALL]), ["embedded", "kafka"]);
        assert_eq!(of(&["kafka"]), ["kafka"]);
    }

    #[test]
    fn commands_side_by_side_meet() {
        let folder = std::env::temp_dir().join(format!("streamreel-side-by-side-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // Each ends only when the other has begun.
        let wait = |own: &str, other: &str| {
            let script =
                format!("touch {own}; for i in $(seq 600); do test -e {other} && exit; sleep 0.1; done; exit 1");
            let mut command = Command::new("sh");
            command.args(["-c", &script]).current_dir(&folder);
            command
        };
        side_by_side(2, vec![("this", wait("a", "b")), ("that", wait("b", "a"))]).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn each_failure_is_told_with_the_end_of_what_it_said() {
        let script = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            command
        };
        let commands = vec![
            ("long", script("seq -f 'line %g' 100; exit 3")),
            ("good", script("echo all is well")),
            ("short", script("echo no >&2; exit 4")),
        ];
        let told = side_by_side(1, commands).unwrap_err().to_string();
        assert!(
            told.contains("long failed (exit status: 3)") && told.contains("short failed (exit status: 4)"),
            "{told}"
        );
        assert!(told.contains("line 61\n") && told.contains("line 100\n") && told.contains("no"), "{told}");
        assert!(!told.contains("line 60\n") && !told.contains("well"), "{told}");
    }
}
