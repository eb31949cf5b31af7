//! The cleaning job, file to Delta, beside the same job in DuckDB.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, count, gigabytes, rate, seconds};
use crate::measure::{Cost, Scratch, largest, median, run};
use crate::tools::{command, python, root, target};

const VERSION: &str = "duckdb==1.5.5";
const TIMES_LESS: f64 = 2.5;

/// A run of either.
struct Run {
    cost: Cost,
    events: u64,
    clean: u64,
    cpu_us_per_event: f64,
}

/// Both, turn by turn, on the same file.
pub fn clean(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    page.rounds(sizes.rounds);
    let python = python("duckdb-venv", &[VERSION])?;
    let direct = target().join("release/examples/measure");
    let file = scratch.path("events.ndjson");
    run(command(&direct, &["generate", &sizes.clean.to_string()]).arg(&file))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..sizes.rounds {
        let output = scratch.path(&format!("direct-{round}"));
        ours.push(one(run(command(&direct, &["direct"]).arg(&file).arg(&output))?)?);
        std::fs::remove_dir_all(&output)?;
        let output = scratch.path(&format!("duckdb-{round}"));
        let script = root().join("benches/duckdb_clean.py");
        theirs.push(one(run(command(&python, &[]).arg(script).arg(&file).arg(&output))?)?);
        std::fs::remove_dir_all(&output)?;
    }
    std::fs::remove_file(&file)?;
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| theirs.cpu_us_per_event / ours.cpu_us_per_event);
    let ratio = median(ratios.clone());
    page.require(
        "CPU time an event of decode, deduplicate, write as Delta; DuckDB's over ours",
        "2.5 or more",
        format!("{ratio:.2}"),
        ratio >= TIMES_LESS,
    );
    let spread: Vec<String> = ratios.map(|ratio| format!("{ratio:.2}")).collect();
    let how = format!(
        "{} generated events in a file of NDJSON (2 % copies, 1 % not valid), decoded, validated, deduplicated and written \
         with zstd: by `crates/process/examples/measure.rs direct` to Delta and by `benches/duckdb_clean.py` ({VERSION}) to \
         Parquet, both with the threads that they take. CPU time is what each counts itself, without starting and imports. The ratio \
         is taken round by round: {}; what is wanted is wanted of their median, which need not be the ratio of the medians in the \
         table.",
        count(sizes.clean),
        spread.join(", "),
    );
    let header = ["", "CPU an event", "events", "wall time", "memory", "clean events"];
    page.section("Beside DuckDB", &how, &header, &[row("StreamReel", &ours), row("DuckDB", &theirs)]);
    Ok(())
}

fn one(cost: Cost) -> Result<Run> {
    let printed: Value = serde_json::from_str(&cost.stdout).context("the job printed no JSON")?;
    let number = |name: &str| printed[name].as_u64().with_context(|| format!("the job printed no {name}: {printed}"));
    let (events, clean) = (number("events")?, number("clean")?);
    let cpu_us_per_event = printed["cpu_us_per_event"].as_f64().context("the job printed no CPU time")?;
    Ok(Run { cost, events, clean, cpu_us_per_event })
}

fn row(name: &str, runs: &[Run]) -> Vec<String> {
    let wall_s = median(runs.iter().map(|run| run.cost.wall_s));
    let events = runs.first().map_or(0, |run| run.events);
    vec![
        name.to_owned(),
        format!("{:.2} us", median(runs.iter().map(|run| run.cpu_us_per_event))),
        rate(events as f64 / wall_s),
        seconds(wall_s),
        gigabytes(largest(runs.iter().map(|run| run.cost.peak_gb))),
        runs.first().map_or(0, |run| run.clean).to_string(),
    ]
}
