//! `up` under load for minutes: what goes in comes out, and memory stays where it is.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::measure::{Running, Scratch, largest, run};
use crate::tools::command;

const RATE: u64 = 5_000;
const LOOK: Duration = Duration::from_millis(200);

/// Runs it for so many seconds; a section of the page.
pub fn run_up(scratch: &Scratch, for_s: u64) -> Result<String> {
    let home = scratch.home("soak");
    let rate = RATE.to_string();
    let settings = ["--set", "build.every=20s", "--set", "upkeep.every=15s"];
    let mut up = home.command(&settings);
    up.args(["up", "--simulate", &rate, "--http", "127.0.0.1:0", "--sql", "127.0.0.1:0"]);
    let mut running = Running::start(&mut up)?;
    let (began, length) = (Instant::now(), Duration::from_secs(for_s));
    // Resident memory in GB, with when.
    let mut resident = Vec::new();
    while began.elapsed() < length {
        if !running.look() {
            let (status, cost) = running.finish()?;
            bail!("up ended by itself with {status}\n{}", cost.stdout);
        }
        resident.extend(running.resident_gb().map(|gb| (began.elapsed(), gb)));
        thread::sleep(LOOK);
    }
    run(&mut command("kill", &["-INT", &running.id().to_string()]))?;
    let interrupted = Instant::now();
    let (status, cost) = running.finish()?;
    let stopped_s = interrupted.elapsed().as_secs_f64();
    if !status.success() {
        bail!("up ended with {status}\n{}", cost.stdout);
    }
    let summary: Value = serde_json::from_str(&cost.stdout).context("up printed no JSON")?;
    let processed = summary["received"].as_u64().context("up printed no counts")?;
    home.run(&["build"])?;
    let audit = home.json(&["audit"])?.1;
    if audit["holds"] != true {
        bail!("the audit does not hold: {audit}");
    }
    let equations = audit["equations"].as_array().map_or(0, Vec::len);
    let builds = home.query("select count(*) as n from gold.builds")?[0]["n"].clone();
    let topics = home.json(&["topics"])?.1;
    let received = records(&topics, "video-events").context("no topic video-events")?;
    if received != processed {
        bail!("{received} records are in video-events, {processed} were processed");
    }
    let during = |from: u64, to: u64| {
        let within = |at: &Duration| (length * from as u32 / 3..length * to as u32 / 3).contains(at);
        largest(resident.iter().filter(|(at, _)| within(at)).map(|(_, gb)| *gb))
    };
    Ok(format!(
        "`streamreel up --simulate {RATE}` for {for_s} s with a build every 20 s and upkeep every 15 s, then Ctrl-C:\n\n\
         * {processed} records simulated and processed, {builds} builds published; it stopped in {stopped_s:.1} s\n\
         * the audit holds, all {equations} equations of it\n\
         * largest resident memory in the three thirds of the run: {:.2}, {:.2} and {:.2} GB; peak {:.2} GB\n\
         * CPU time: {:.0} s of {:.0} s wall time\n",
        during(0, 1),
        during(1, 2),
        during(2, 3),
        cost.peak_gb,
        cost.cpu_s,
        cost.wall_s,
    ))
}

fn records(topics: &Value, name: &str) -> Option<u64> {
    topics.as_array()?.iter().find(|topic| topic["name"] == name)?["records"].as_u64()
}
