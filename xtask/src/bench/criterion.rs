//! The parts, each on its own: the benchmarks of the crates.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, rate};
use crate::measure::{Scratch, run};
use crate::tools::{cargo, step};

const DECODE_PER_S: f64 = 2e6;
/// Crates with benchmarks by criterion, and what of them to run.
const BENCHES: &[(&str, &str)] = &[
    ("streamreel-event", "decode"),
    ("streamreel-viewing", "sessionise"),
    ("streamreel-simulate", "generate"),
    ("streamreel-topic", "log"),
];
/// The required one: what our own players and the simulator send, 240 bytes an event.
const USUAL: &str = "decode/full";

/// A benchmark's median.
struct Estimate {
    name: String,
    seconds: f64,
    /// Events or records of an iteration, where it counts any.
    elements: Option<f64>,
}

/// Runs them all.
pub fn parts(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    let home = scratch.path("criterion");
    let mut rows = Vec::new();
    for (package, bench) in BENCHES {
        let folder = home.join(package);
        let mut bencher = cargo("bench", &["--bench", bench, "--", "--noplot"]);
        if sizes.quick {
            bencher.arg("--quick");
        }
        // Its report is on stdout; ours is made of its files.
        step(bench, bencher.env("CRITERION_HOME", &folder).stdout(std::process::Stdio::null()))?;
        let mut estimates = estimates(&folder)?;
        estimates.sort_by(|a, b| a.name.cmp(&b.name));
        if estimates.is_empty() {
            bail!("{package} left no estimates in {}", folder.display());
        }
        for estimate in &estimates {
            require_decode(estimate, page);
            rows.push(row(package, estimate));
        }
    }
    page.section(
        "Parts",
        "Criterion's medians, wall time, on one core (`cargo bench --workspace --bench NAME`). `decode/unusual` has white space, another \
         order of fields and an unknown one; every other event of `decode/dirty` is rejected.",
        &["crate", "benchmark", "an iteration", "events or records"],
        &rows,
    );
    let lake = run(&mut cargo("bench", &["--quiet", "--bench", "lake"]))?;
    page.verbatim("Lake", "`cargo bench --workspace --bench lake`, on a local disk.", &lake.stdout);
    Ok(())
}

fn require_decode(estimate: &Estimate, page: &mut Page) {
    if estimate.name == USUAL {
        let per_s = estimate.elements.unwrap_or(f64::NAN) / estimate.seconds;
        page.require("decode and validate, one core", "at least 2 M/s", rate(per_s), per_s >= DECODE_PER_S);
    }
}

fn row(package: &str, estimate: &Estimate) -> Vec<String> {
    let crate_name = package.trim_start_matches("streamreel-").to_owned();
    let per_s = estimate.elements.map_or_else(String::new, |elements| rate(elements / estimate.seconds));
    let time = match estimate.seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s => format!("{:.1} ms", s * 1e3),
    };
    vec![crate_name, estimate.name.clone(), time, per_s]
}

/// Everything that criterion left in a folder.
fn estimates(folder: &Path) -> Result<Vec<Estimate>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("can't list {}", folder.display()))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == "new") {
                found.push(estimate(&path)?);
            } else if path.is_dir() {
                open.push(path);
            }
        }
    }
    Ok(found)
}

fn estimate(folder: &Path) -> Result<Estimate> {
    let benchmark = json(folder.join("benchmark.json"))?;
    let estimates = json(folder.join("estimates.json"))?;
    let name = benchmark["full_id"].as_str().context("a benchmark without a name")?.to_owned();
    let ns = estimates["median"]["point_estimate"].as_f64().context("an estimate without a median")?;
    Ok(Estimate { name, seconds: ns / 1e9, elements: benchmark["throughput"]["Elements"].as_f64() })
}

fn json(path: PathBuf) -> Result<Value> {
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}
