//! Measures what the program is required to do, and the parts below it, and writes `docs/performance.md`.
//!
//! Whatever is compared is measured in the same run, turn by turn: a machine's speed differs from hour to hour by more than
//! what is compared.

mod criterion;
mod duckdb;
mod jobs;
mod page;

use std::fs;

use anyhow::{Context, Result};

use crate::measure::{Scratch, load, machine};
use crate::tools::{cargo, root, step};
use page::Page;

const OUTPUT: &str = "docs/performance.md";

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
    /// How often each is measured; the median counts.
    pub rounds: usize,
    /// Whether only to try it out.
    pub quick: bool,
}

impl Sizes {
    const FULL: Self =
        Self { process: 3_000_000, clean: 3_000_000, build: 10_000_000, demo: 1_000_000, rounds: 3, quick: false };
    const QUICK: Self =
        Self { process: 300_000, clean: 300_000, build: 1_000_000, demo: 100_000, rounds: 1, quick: true };
}

/// Runs all of it. With `--quick` sizes are a tenth, and the page is printed instead of written.
pub fn run(args: &[String]) -> Result<()> {
    let quick = args.iter().any(|arg| arg == "--quick");
    let sizes = if quick { Sizes::QUICK } else { Sizes::FULL };
    step("build", &mut cargo("build", &["--release", "--bin", "streamreel"]))?;
    step("build the direct job", &mut cargo("build", &["--release", "--example", "measure"]))?;
    let scratch = Scratch::new("bench")?;
    let mut page = Page::new(machine()?, load());
    for (name, part) in PARTS {
        eprintln!("==> {name}");
        part(&sizes, &scratch, &mut page).with_context(|| (*name).to_owned())?;
    }
    let text = page.text(&sizes, load());
    if quick {
        eprint!("{text}");
        return Ok(());
    }
    let path = root().join(OUTPUT);
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("wrote {OUTPUT}");
    Ok(())
}

type Part = fn(&Sizes, &Scratch, &mut Page) -> Result<()>;

const PARTS: &[(&str, Part)] = &[
    ("process", jobs::process),
    ("the cleaning job, beside DuckDB", duckdb::clean),
    ("builds", jobs::builds),
    ("demo", jobs::demo),
    ("parts", criterion::parts),
];
