//! Rounds of killing, stopping and breaking the platform under load, in three gears; `--write` adds them to
//! `docs/reliability.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;

use crate::measure::machine;
use crate::report::Report;
use crate::tools::{cargo, chosen, command, step};

/// Each is a test of this name, and what it is.
const GEARS: [(&str, &str); 3] = [
    ("embedded", "topics and lake in the home"),
    ("kafka", "topics on a Kafka, two processors"),
    ("store", "topics in the home, the lake in a bucket"),
];
/// The gear in which the clock jumps.
const WITH_CLOCK: &str = "embedded";
const ABOUT: &str = include_str!("crash.md");

/// Rounds by their seed, as the test says them.
type Rounds = BTreeMap<u64, String>;

/// What to hurt, and how often.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only these gears
    #[arg(value_name = "GEAR", value_parser = PossibleValuesParser::new(GEARS.map(|(gear, _)| gear)))]
    gears: Vec<String>,
    /// Rounds of each gear
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u32,
    /// The first round's; the next has the next one
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Add those that held to docs/reliability.md
    #[arg(long)]
    write: bool,
}

/// Runs rounds in the gears that are named, else in all.
pub fn run(args: &Args) -> Result<()> {
    let Args { rounds, seed, .. } = args;
    let gears = chosen(&args.gears, &GEARS.map(|(gear, _)| gear));
    if gears.contains(&WITH_CLOCK) {
        need_clock()?;
    }
    eprintln!("==> {rounds} rounds of {}", gears.join(", "));
    let (held, all_held) = rounds_of(&gears, &rounds.to_string(), &seed.to_string())?;
    if args.write {
        add(held)?;
    }
    if !all_held {
        bail!(
            "a round failed; what it has left is in tmp/crash of the target directory, and `cargo xtask crash GEAR --rounds 1 --seed N` repeats it"
        );
    }
    Ok(())
}

/// The library that stands between a process and the machine's clock; installed where that is allowed.
fn need_clock() -> Result<()> {
    let is_there = || {
        let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        folders.into_iter().any(|folder| folder.path().join("faketime/libfaketimeMT.so.1").is_file())
    };
    if is_there() {
        return Ok(());
    }
    // Another user may not: then the message below says what to do.
    let update = step("apt-get update", &mut command("apt-get", &["update", "--quiet"]));
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "libfaketime"];
    let installed = update.and_then(|()| step("install libfaketime", &mut command("apt-get", &install)));
    if !is_there() {
        let why = installed.err().map_or_else(String::new, |error| format!(" ({error:#})"));
        bail!("libfaketime is needed for a clock that jumps: apt install libfaketime{why}");
    }
    Ok(())
}

/// What held, by gear, and whether all did. Gears run side by side, as rounds mostly wait.
fn rounds_of(gears: &[&str], rounds: &str, seed: &str) -> Result<(BTreeMap<String, Rounds>, bool)> {
    let args = ["--release", "--quiet", "--test", "crash", "--", "--nocapture", "--test-threads=3", "--exact"];
    let mut test = cargo("test", &[&args, gears].concat());
    test.env("STREAMREEL_TEST_ROUNDS", rounds).env("STREAMREEL_TEST_SEED", seed).stdout(Stdio::piped());
    let mut child = test.spawn().context("can't start cargo")?;
    // A name that is no test passes too.
    let (mut held, mut passed) = (BTreeMap::<String, Rounds>::new(), false);
    let all_passed = format!("{} passed", gears.len());
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        eprintln!("{line}");
        passed |= line.contains(&all_passed);
        // A test that ends leaves a dot before the next line.
        let line = line.trim_start_matches('.');
        if let Some((gear, seed)) = round_of(line) {
            held.entry(gear.to_owned()).or_default().insert(seed, line.to_owned());
        }
    }
    Ok((held, child.wait()?.success() && passed))
}

/// Gear and seed of a line about a round that held: `kafka, seed 7: Kill, ...; holds, 40 s`.
fn round_of(line: &str) -> Option<(&str, u64)> {
    let (gear, rest) = line.split_once(", seed ")?;
    let (seed, rest) = rest.split_once(": ")?;
    rest.contains("; holds, ").then_some((gear, seed.parse().ok()?))
}

/// Adds rounds to those of the page; one of the same seed is replaced.
fn add(held: BTreeMap<String, Rounds>) -> Result<()> {
    let report = Report {
        path: "docs/reliability.md",
        intro: format!("{ABOUT}\nMachine of the last rounds: {}.\n", machine()?),
        headings: GEARS.iter().map(|(gear, what)| heading(gear, what)).collect(),
    };
    for (gear, what) in GEARS {
        let mut rounds = written(&report.text()?, gear);
        rounds.extend(held.get(gear).cloned().unwrap_or_default());
        report.put(&heading(gear, what), &section(&rounds))?;
    }
    Ok(())
}

fn heading(gear: &str, what: &str) -> String {
    format!("{gear}: {what}")
}

/// The rounds of a gear that a page has.
fn written(page: &str, gear: &str) -> Rounds {
    let rounds = page.lines().filter_map(|line| Some((round_of(line)?, line)));
    rounds.filter(|((of, _), _)| *of == gear).map(|((_, seed), line)| (seed, line.to_owned())).collect()
}

fn section(rounds: &Rounds) -> String {
    let mut text = format!("| | |\n|---|---:|\n| rounds that held | {} |\n", rounds.len());
    // Writing to a string does not fail.
    for (hurt, count) in counts(rounds) {
        let _ = writeln!(text, "| {hurt} | {count} |");
    }
    let lines: String = rounds.values().map(|line| format!("{line}\n")).collect();
    text + &format!("\n```text\n{lines}```\n")
}

/// How often each hurt was done.
fn counts(rounds: &Rounds) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for line in rounds.values() {
        let done = line.split_once(": ").and_then(|(_, rest)| rest.split_once("; ")).map_or("", |(done, _)| done);
        // What could not be done says so.
        for hurt in done.split(", ").filter(|hurt| !hurt.contains("none was filled")) {
            *counts.entry(hurt.split(' ').next().unwrap_or(hurt)).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_the_rounds_of_earlier_pieces() {
        let round = |seed: u64, done: &str| (seed, format!("store, seed {seed}: {done}; holds, 20 s"));
        let first = Rounds::from([round(1, "Kill, CutStore (3 requests), Kill")]);
        let text = section(&first);
        assert_eq!(written(&text, "store"), first);
        assert_eq!(written(&text, "kafka"), Rounds::new());
        let both: Rounds = first.into_iter().chain([round(2, "DiskFull (no disk: none was filled), Pause")]).collect();
        assert_eq!(counts(&both), BTreeMap::from([("Kill", 2), ("CutStore", 1), ("Pause", 1)]));
    }
}
