//! What takes too long for every change: exactness at larger sizes, a hundred kills, lost events, a soak, every engine. Writes
//! `docs/full.md`, `docs/conformance.md` and the measured part of `docs/metrics.md`.

mod engines;
mod loss;
mod soak;

use std::fmt::Write;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;

use crate::conformance::ENGINES;
use crate::measure::{Scratch, machine};
use crate::report::Report;
use crate::tools::{ALL, cargo, chosen, step};

const INTRO: &str = "# What takes longer

What the tests of every change show, at larger sizes. Each section was written by the command that is its heading, which fails \
without changing it; `cargo xtask full` runs all of them, and writes [conformance.md](conformance.md) and what lost events cost \
([metrics.md](metrics.md#what-lost-events-cost)).
";

const PARTS: [&str; 4] = ["exact", "loss", "soak", "conformance"];

/// A test of the program at another size than the gate's.
struct Large {
    what: &'static str,
    program: &'static str,
    test: &'static str,
    records: &'static str,
    seed: &'static str,
    dirt: &'static str,
    kills: &'static str,
}

const TRUTH: Large = Large {
    what: "gold is the truth to the second; audit holds",
    program: "exact",
    test: "gold_is_the_truth_straight_from_the_simulator",
    records: "1000000",
    seed: "1",
    dirt: "0.1",
    kills: "",
};
const ARRIVAL: Large = Large {
    what: "1, 2, 4 and 8 partitions, shuffled, one build or twenty: gold is the same and the truth; audit holds",
    test: "partitions_order_and_number_of_builds_do_not_show",
    records: "300000",
    ..TRUTH
};
const KILLS: Large = Large {
    what: "killed at random moments of process and build: gold is the same; audit holds",
    program: "kill",
    test: "kills_do_not_show",
    records: "3000000",
    kills: "100",
    ..TRUTH
};
const LARGE: &[Large] = &[
    Large { seed: "1", dirt: "0.02", ..TRUTH },
    Large { seed: "2", dirt: "0.1", ..TRUTH },
    Large { seed: "3", dirt: "0.3", ..TRUTH },
    Large { seed: "4", dirt: "0.1", records: "3000000", ..TRUTH },
    Large { seed: "11", dirt: "0.1", ..ARRIVAL },
    Large { seed: "12", dirt: "0.3", ..ARRIVAL },
    Large { seed: "3", dirt: "0.1", ..KILLS },
];

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this part
    #[arg(value_parser = PossibleValuesParser::new(PARTS))]
    part: Option<String>,
    /// Soak only with the topics on this log, or on all; may be repeated
    #[arg(long = "log", value_name = "NAME", value_parser = PossibleValuesParser::new(soak::LOGS.into_iter().chain([ALL])))]
    logs: Vec<String>,
    /// Compare only with this engine, or with all; may be repeated
    #[arg(long = "engine", value_name = "NAME", value_parser = PossibleValuesParser::new(ENGINES.into_iter().chain([ALL])))]
    engines: Vec<String>,
    /// Small sizes, and nothing is written
    #[arg(long)]
    quick: bool,
}

/// Runs all of it, or one of its parts.
pub fn run(args: &Args) -> Result<()> {
    let (only, quick) = (args.part.as_deref(), args.quick);
    step("build", &mut cargo("build", &["--release", "--bin", "streamreel"]))?;
    let scratch = Scratch::new("full")?;
    for part in PARTS.into_iter().filter(|part| only.is_none_or(|only| only == *part)) {
        eprintln!("==> {part}");
        match part {
            "exact" => put(part, quick, &exact(quick)?)?,
            "loss" => {
                let lost = loss::measure(&scratch, if quick { "100000" } else { "1000000" })?;
                if quick { eprint!("{lost}") } else { loss::write(&lost)? }
            }
            "soak" => {
                for log in chosen(&args.logs, &soak::LOGS) {
                    put(&soak_on(log), quick, &soak::soak(&scratch, log, if quick { 45 } else { 1_200 })?)?;
                }
            }
            _ => engines::compare(&chosen(&args.engines, &ENGINES), quick)?,
        }
    }
    Ok(())
}

/// The part of one log.
fn soak_on(log: &str) -> String {
    format!("soak --log {log}")
}

fn put(part: &str, quick: bool, text: &str) -> Result<()> {
    let heading = |part: &str| format!("`cargo xtask full {part}`");
    let text = format!("Machine: {}.\n\n{text}", machine()?);
    if quick {
        eprint!("{text}");
        return Ok(());
    }
    let headings = ["exact".to_owned()].into_iter().chain(soak::LOGS.map(soak_on)).map(|part| heading(&part)).collect();
    Report { path: "docs/full.md", intro: INTRO.to_owned(), headings }.put(&heading(part), &text)
}

/// The tests at larger sizes, as a section of the page.
fn exact(quick: bool) -> Result<String> {
    let mut text = "| what | records | seed | dirt | kills | |\n|---|---|---|---|---|---|\n".to_owned();
    for large in LARGE {
        let began = Instant::now();
        let records = if quick { "30000" } else { large.records };
        let kills = if quick && !large.kills.is_empty() { "10" } else { large.kills };
        let name = format!("{}, {records} records, seed {}, dirt {}", large.test, large.seed, large.dirt);
        let args = [
            "test",
            "--release",
            "--quiet",
            "-p",
            "streamreel",
            "--test",
            large.program,
            "--",
            "--nocapture",
            "--exact",
            large.test,
        ];
        let mut test = cargo("test", &args);
        test.env("STREAMREEL_TEST_RECORDS", records)
            .env("STREAMREEL_TEST_SEED", large.seed)
            .env("STREAMREEL_TEST_DIRT", large.dirt);
        if !kills.is_empty() {
            test.env("STREAMREEL_TEST_KILLS", kills);
        }
        let output = test.stderr(std::process::Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        // A name that is no test passes too.
        if !output.status.success() || !said.contains("1 passed") {
            bail!("{name} failed\n{said}");
        }
        let passed_s = began.elapsed().as_secs_f64();
        eprintln!("    {name}: {passed_s:.0} s");
        let met: Vec<&str> = said.lines().filter(|line| line.contains(" kills met ")).collect();
        let kills = if met.is_empty() { kills.to_owned() } else { format!("{kills}: {}", met.join(", ")) };
        let Large { what, seed, dirt, .. } = large;
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {what} | {records} | {seed} | {dirt} | {kills} | passed in {passed_s:.0} s |");
    }
    Ok(text)
}
