//! What people and programs ask while events come in: times, memory, and how soon the page is there.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::Sizes;
use crate::bench::page::{Page, count, gigabytes, rate};
use crate::measure::{Scratch, run};
use crate::tools::{command, program, root};

const EVENTS_PER_S: u64 = 100_000;
const REQUESTS_PER_S: u64 = 500;
const P99_MS: f64 = 10.0;
const MOST_GB: f64 = 1.0;
const PAINT_MS: f64 = 1_000.0;
const ROUTES: [(&str, &str); 2] = [("curve", "curve of a video"), ("top", "top list")];

/// `benches/serve_load.py`, which starts `up` on a demo lake, sends events to its collector and asks.
pub fn serving(sizes: &Sizes, _: &Scratch, page: &mut Page) -> Result<()> {
    let seconds = if sizes.quick { "5" } else { "30" };
    let events = [REQUESTS_PER_S, EVENTS_PER_S, sizes.demo].map(|n| n.to_string());
    let mut load = command("python3", &["benches/serve_load.py", "--seconds", seconds]);
    load.args(["--requests", &events[0], "--events", &events[1], "--demo", &events[2]]);
    let cost = run(load.arg("--program").arg(program()).current_dir(root()))?;
    let found: Value = serde_json::from_str(&cost.stdout).context("serve_load.py printed no JSON")?;
    let number = |path: &str| found.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path}"));
    let mut rows = Vec::new();
    let mut worst = 0.0_f64;
    for (when, what) in [("quiet", "nothing else"), ("under_load", "events come in")] {
        for (route, name) in ROUTES {
            let of = |key: &str| number(&format!("/{when}/routes/{route}/{key}"));
            if when == "under_load" {
                worst = worst.max(of("p99_ms")?);
            }
            let ms = |key| of(key).map(|ms| format!("{ms:.1} ms"));
            rows.push(vec![what.to_owned(), name.to_owned(), ms("p50_ms")?, ms("p99_ms")?, ms("max_ms")?]);
        }
    }
    let received = number("/under_load/received_records_per_s")?;
    let memory_gb = number("/memory_mib/peak")? * f64::from(1 << 20) / 1e9;
    let paint_ms = number("/first_paint_ms/median")?;
    let what = format!("{REQUESTS_PER_S} requests/s while {} events/s come in, p99", count(EVENTS_PER_S));
    page.require(what, "at most 10 ms", format!("{worst:.1} ms"), worst <= P99_MS);
    page.require("... memory of `up`", "at most 1 GB", gigabytes(memory_gb), memory_gb <= MOST_GB);
    page.require("first paint of the page", "less than 1 s", format!("{:.2} s", paint_ms / 1e3), paint_ms < PAINT_MS);
    let how = format!(
        "`benches/serve_load.py`: `up` on a demo lake of {} events, asked {REQUESTS_PER_S} times a second for {seconds} s, half curves of videos as \
         popular as they are, half top lists, over 64 connections; times count from the moment when a request is due. Events are sent \
         to the collector in batches of 500 from another process; {} were received and processed meanwhile. Both clients run on the \
         same two cores. One run.",
        count(sizes.demo),
        rate(received),
    );
    page.section("Serving", &how, &["while", "request", "p50", "p99", "longest"], &rows);
    Ok(())
}
