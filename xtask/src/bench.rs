//! Measures what the program is required to do, and the parts below it, and writes `docs/performance.md`.
//!
//! Whatever is compared is measured in the same run, turn by turn: a machine's speed differs from hour to hour by more than
//! what is compared.

mod criterion;
mod duckdb;
mod engines;
mod jobs;
mod kafka;
mod page;
mod serving;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;

use crate::measure::{Scratch, machine};
use crate::report::Report;
use crate::tools::{cargo, step};
use page::Page;

const INTRO: &str = "# Performance

Each section but the last was measured in one run of the command that is its heading, which wrote it, on the day that it names; `cargo xtask bench` runs all of them. \
Whatever is compared was measured in the same run, turn by turn. A virtual machine shares caches and memory with its \
neighbours; a random read, where a section says what one took, tells how much it had of them. Stolen is CPU time in which \
programs could have run and neighbours did. k and M are thousands and \
millions, GB are 10^9 bytes; memory is the peak of the resident set, CPU time is user and system time of all threads.
";

/// The section that no command writes.
const BY_HAND: &str = "How much the machine matters";

/// How much is measured.
pub struct Sizes {
    /// Records of `process`.
    pub process: u64,
    /// Events of the comparison with DuckDB.
    pub clean: u64,
    /// Records of the builds.
    pub build: u64,
    /// Records of the demo.
    pub demo: u64,
    /// Records of a round beside Spark and Flink.
    pub engines: u64,
    /// How often engines are measured.
    pub engine_rounds: usize,
    /// How often each is measured; the median counts.
    pub rounds: usize,
    /// Whether only to try it out.
    pub quick: bool,
}

impl Sizes {
    const FULL: Self = Self {
        process: 3_000_000,
        clean: 3_000_000,
        build: 10_000_000,
        demo: 1_000_000,
        engines: 200_000,
        engine_rounds: 1,
        rounds: 3,
        quick: false,
    };
    const QUICK: Self = Self {
        process: 300_000,
        clean: 300_000,
        build: 1_000_000,
        demo: 100_000,
        engines: 50_000,
        engine_rounds: 1,
        rounds: 1,
        quick: true,
    };
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this section of the page
    #[arg(value_parser = PossibleValuesParser::new(PARTS.iter().map(|(name, _)| *name)))]
    part: Option<String>,
    /// A tenth of the sizes, and nothing is written
    #[arg(long)]
    quick: bool,
}

/// Runs all of it, or the one part that is named; each is a section of the page.
pub fn run(args: &Args) -> Result<()> {
    let (only, quick) = (args.part.as_deref(), args.quick);
    let sizes = if quick { Sizes::QUICK } else { Sizes::FULL };
    let measured = ["--release", "--bin", "streamreel", "--example", "measure", "--example", "produce"];
    step("build", &mut cargo("build", &measured))?;
    let scratch = Scratch::new("bench")?;
    let report = Report {
        path: "docs/performance.md",
        intro: INTRO.to_owned(),
        headings: PARTS.iter().map(|(name, _)| heading(name)).chain([BY_HAND.to_owned()]).collect(),
    };
    for (name, part) in PARTS.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        eprintln!("==> {name}");
        let mut page = Page::new(machine()?);
        part(&sizes, &scratch, &mut page).with_context(|| (*name).to_owned())?;
        let text = page.text();
        if quick {
            eprint!("{text}");
        } else {
            report.put(&heading(name), &text)?;
        }
    }
    Ok(())
}

/// A part's, which is how it is measured again.
fn heading(part: &str) -> String {
    format!("`cargo xtask bench {part}`")
}

type Part = fn(&Sizes, &Scratch, &mut Page) -> Result<()>;

const PARTS: &[(&str, Part)] = &[
    ("process", jobs::process),
    ("duckdb", duckdb::clean),
    ("builds", jobs::builds),
    ("demo", jobs::demo),
    ("serving", serving::serving),
    ("kafka", kafka::kafka),
    ("engines", engines::engines),
    ("parts", criterion::parts),
];
