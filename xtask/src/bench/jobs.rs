//! The program's own jobs, run as a user runs them: simulate, ingest, process, build, demo.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, copy};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, count, gigabytes, rate, seconds};
use crate::measure::{Cost, Home, Scratch, largest, median};

const DIRT: &str = "0.05";
const CORES: f64 = 2.0;
const PROCESS_PER_S: f64 = 0.7e6;
const PROCESS_GB: f64 = 2.0;
const BUILD_S: f64 = 30.0;
const BUILD_GB: f64 = 3.0;
const NEW_SHARE: f64 = 0.1;
const DEMO_S: f64 = 20.0;

/// The log to the cleaned topics and bronze.
pub fn process(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    page.rounds(sizes.rounds);
    let records = sizes.process.to_string();
    let source = scratch.home("source");
    let simulated = source.run(&["simulate", "--events", &records, "--dirt", DIRT])?;
    let mut costs = Vec::new();
    for round in 0..sizes.rounds {
        let home = scratch.home(&format!("process-{round}"));
        source.copy(&["log", "metadata"], &home)?;
        let (cost, summary) = home.json(&["process"])?;
        if summary["received"].as_u64() != Some(sizes.process) {
            bail!("process has not read every record: {summary}");
        }
        costs.push(cost);
        home.remove("")?;
    }
    source.remove("")?;
    let per_s = sizes.process as f64 / median(costs.iter().map(|cost| cost.wall_s));
    let peak_gb = largest(costs.iter().map(|cost| cost.peak_gb));
    let what = format!("`process`, {} records, log to clean topic, dead letters and bronze", count(sizes.process));
    page.require(what, "at least 0.7 M/s on two cores", rate(per_s), per_s >= PROCESS_PER_S);
    page.require("... its memory", "at most 2 GB", gigabytes(peak_gb), peak_gb <= PROCESS_GB);
    let mut rows: Vec<_> = costs.iter().map(|cost| row("process", sizes.process, cost)).collect();
    rows.insert(0, row("simulate into the log", sizes.process, &simulated));
    page.section(
        "Process",
        "Records of the simulator with 5 % dirt, in 4 partitions; `process` exactly once into the two cleaned topics and bronze, with \
         every start of the program included. The last column is what its CPU time comes to on two cores with nothing else to do.",
        &["", "records", "wall time", "CPU time", "memory", "two cores' CPU"],
        &rows,
    );
    Ok(())
}

fn row(name: &str, records: u64, cost: &Cost) -> Vec<String> {
    let records = records as f64;
    vec![
        name.to_owned(),
        rate(records / cost.wall_s),
        seconds(cost.wall_s),
        seconds(cost.cpu_s),
        gigabytes(cost.peak_gb),
        rate(CORES * records / cost.cpu_s),
    ]
}

/// Silver and gold: first, after 1 % more, and all anew.
pub fn builds(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    page.rounds(sizes.rounds);
    let source = scratch.home("builds");
    let (mut rows, new_records) = fed(sizes, scratch, &source)?;
    let (mut first, mut more, mut full) = (Vec::new(), Vec::new(), Vec::new());
    let home = scratch.home("build");
    for _ in 0..sizes.rounds {
        source.copy(&["data_lake", "metadata"], &home)?;
        let (cost, summary) = built(&home, &["build"])?;
        if summary["silver"]["full"] != false {
            bail!("the build after new data derived everything: {summary}");
        }
        more.push(cost);
        full.push(built(&home, &["build", "--full-refresh"])?.0);
        home.remove("data_lake")?;
        source.copy(&["data_lake/_streamreel.json", "data_lake/bronze"], &home)?;
        first.push(built(&home, &["build"])?.0);
    }
    let dates = home.query("select count(distinct view_date) as days, count(*) as views from silver.views")?;
    source.remove("")?;
    home.remove("")?;
    let first_s = median(first.iter().map(|cost| cost.wall_s));
    let peak_gb = largest(first.iter().chain(&full).map(|cost| cost.peak_gb));
    let share = median(more.iter().zip(&full).map(|(more, full)| more.wall_s / full.wall_s));
    let of_cpu = median(more.iter().zip(&full).map(|(more, full)| more.cpu_s / full.cpu_s));
    let what = format!("sessionise and gold, {} records, tests included", count(sizes.build));
    page.require(what, "at most 30 s", seconds(first_s), first_s <= BUILD_S);
    page.require("... its memory", "at most 3 GB", gigabytes(peak_gb), peak_gb <= BUILD_GB);
    page.require(
        "a build after 1 % new data, share of the full build's time",
        "at most 10 %",
        format!("{:.1} %", 100.0 * share),
        share <= NEW_SHARE,
    );
    for (name, costs) in [("first build", &first), ("build after 1 % more", &more), ("build --full-refresh", &full)] {
        rows.extend(costs.iter().map(|cost| row(name, sizes.build, cost)));
    }
    let how = format!(
        "{} records of a simulated week with 5 % dirt, {} views on {} days. The first 99 % of the file in order of arrival are \
         ingested, processed and built, then the last {} records ingested and processed, and then measured on copies of that lake: `build`, \
         `build --full-refresh`, and `build` with nothing but bronze. Data tests and publishing are part of a build. The build after \
         1 % more takes {:.1} % of the CPU time of the full one. Rates are of all the records that the lake then has.",
        count(sizes.build),
        dates[0]["views"],
        dates[0]["days"],
        count(new_records),
        100.0 * of_cpu,
    );
    page.section("Builds", &how, &["", "records", "wall time", "CPU time", "memory", "two cores' CPU"], &rows);
    Ok(())
}

/// A home with everything processed and all but the newest 1 % built. Rows about it, and how many records are new.
fn fed(sizes: &Sizes, scratch: &Scratch, home: &Home) -> Result<(Vec<Vec<String>>, u64)> {
    let (all, old, new) = (scratch.path("all.ndjson"), scratch.path("old.ndjson"), scratch.path("new.ndjson"));
    let records = sizes.build.to_string();
    // Titles go into a home that is there.
    home.create()?;
    let simulated = home.run(&["simulate", "--events", &records, "--dirt", DIRT, "--to", &all.to_string_lossy()])?;
    split(&all, &old, &new)?;
    std::fs::remove_file(&all)?;
    let (ingested, summary) = home.json(&["ingest", &old.to_string_lossy()])?;
    let old_records = total(&summary)?;
    home.run(&["process"])?;
    built(home, &["build"])?;
    let (_, summary) = home.json(&["ingest", &new.to_string_lossy()])?;
    let new_records = total(&summary)?;
    home.run(&["process"])?;
    std::fs::remove_file(&old)?;
    std::fs::remove_file(&new)?;
    let rows = vec![
        row("simulate into a file", sizes.build, &simulated),
        row("ingest of the first 99 %", old_records, &ingested),
    ];
    Ok((rows, new_records))
}

/// Records that an ingest says it has appended.
fn total(summary: &Value) -> Result<u64> {
    summary["records"].as_u64().with_context(|| format!("ingest printed no number of records: {summary}"))
}

fn built(home: &Home, args: &[&str]) -> Result<(Cost, Value)> {
    let (cost, summary) = home.json(args)?;
    eprintln!("    {}: {:.1} s, {:.1} s of CPU, {:.2} GB", args.join(" "), cost.wall_s, cost.cpu_s, cost.peak_gb);
    Ok((cost, summary))
}

/// The first 99 % of a file's lines, and the rest.
fn split(all: &Path, old: &Path, new: &Path) -> Result<()> {
    let mut file = File::open(all).with_context(|| format!("can't read {}", all.display()))?;
    let about = file.metadata()?.len() / 100 * 99;
    file.seek(SeekFrom::Start(about))?;
    let mut rest_of_line = Vec::new();
    BufReader::new(&file).read_until(b'\n', &mut rest_of_line)?;
    let at = about + rest_of_line.len() as u64;
    file.seek(SeekFrom::Start(0))?;
    copy(&mut (&file).take(at), &mut File::create(old)?)?;
    copy(&mut file, &mut File::create(new)?)?;
    Ok(())
}

/// The demo, with the program built.
pub fn demo(sizes: &Sizes, scratch: &Scratch, page: &mut Page) -> Result<()> {
    page.rounds(sizes.rounds);
    let (mut costs, mut rows) = (Vec::new(), Vec::new());
    let home = scratch.home("demo");
    for _ in 0..sizes.rounds {
        let (cost, summary) = home.json(&["demo", "--events", &sizes.demo.to_string()])?;
        if summary["audit"]["holds"] != true {
            bail!("the demo's audit does not hold: {}", summary["audit"]);
        }
        let part = |name: &str| seconds(summary["seconds"][name].as_f64().unwrap_or(f64::NAN));
        let parts = ["simulate", "process", "build", "audit"].map(part);
        let all = [seconds(cost.wall_s), seconds(cost.cpu_s), gigabytes(cost.peak_gb)];
        rows.push(all.into_iter().chain(parts).collect());
        costs.push(cost);
    }
    home.remove("")?;
    let wall_s = median(costs.iter().map(|cost| cost.wall_s));
    let what = format!("`demo` of {} events, once built", count(sizes.demo));
    page.require(what, "at most 20 s", seconds(wall_s), wall_s <= DEMO_S);
    page.section(
        "Demo",
        "`streamreel demo`: simulate, process, build with tests, audit, answer.",
        &["wall time", "CPU time", "memory", "simulate", "process", "build", "audit"],
        &rows,
    );
    Ok(())
}
