//! `up` under load for minutes, with the topics in the home and on a Kafka: what goes in comes out, and memory stays where it is.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::kafka::Broker;
use crate::measure::{Cost, Home, Running, Scratch, largest, run, slope};
use crate::tools::command;

const RATE: &str = "50000";
const DIRT: &str = "0.05";
const LOOK: Duration = Duration::from_millis(200);
/// Memory that grows by less is flat: a tenth of a GB in twenty minutes.
const FLAT_MIB_PER_MIN: f64 = 5.0;
const MIB_PER_GB: f64 = 1e9 / (1024.0 * 1024.0);

/// Where the topics are: in the home, or on a broker on the same cores.
pub const LOGS: [&str; 2] = ["embedded", "kafka"];

/// Runs it on a log for so many seconds; below its heading on the page.
pub fn soak(scratch: &Scratch, log: &str, for_s: u64) -> Result<String> {
    let broker = (log == "kafka").then(Broker::start).transpose()?;
    let home = scratch.home("soak");
    let log = broker.as_ref().map_or_else(Vec::new, |broker| vec!["--log".to_owned(), broker.url()]);
    let program = |args: &[&str]| {
        let mut program = home.command(&[]);
        program.args(&log).args(args);
        program
    };
    let every = ["--set", "build.every=60s", "--set", "upkeep.every=60s"];
    let up = ["up", "--http", "127.0.0.1:0", "--sql", "127.0.0.1:0"];
    let mut running = Running::start(&mut program(&[&every[..], &up].concat()))?;
    // A process of its own: what it remembers of its viewers grows, and is not what is measured.
    let time = format!("{for_s}s");
    let simulate = ["simulate", "--rate", RATE, "--for", &time, "--dirt", DIRT];
    let mut simulator = Running::start(&mut program(&simulate))?;
    let began = Instant::now();
    // Resident memory of `up` in GB, with when.
    let mut resident = Vec::new();
    while simulator.look() {
        if !running.look() {
            let (status, cost) = running.finish()?;
            bail!("up ended by itself with {status}\n{}", cost.stdout);
        }
        resident.extend(running.resident_gb().map(|gb| (began.elapsed(), gb)));
        thread::sleep(LOOK);
    }
    let length = began.elapsed();
    let sent = succeeded("simulate", simulator)?.1["records"].as_u64().context("simulate printed no counts")?;
    run(&mut command("kill", &["-INT", &running.id().to_string()]))?;
    let interrupted = Instant::now();
    let (cost, summary) = succeeded("up", running)?;
    let stopped_s = interrupted.elapsed().as_secs_f64();
    if summary["received"].as_u64() != Some(sent) {
        bail!("{sent} records were simulated, and up processed {}", summary["received"]);
    }
    let (equations, builds) = audit(&home, &program)?;
    home.remove("")?;
    let place = if broker.is_some() { "on a Kafka on the same cores" } else { "in the home" };
    Ok(format!(
        "The topics are {place}. `streamreel up` with a build and upkeep every 60 s, and `simulate --rate {RATE}` beside it for \
         {for_s} s as a process of its own, then Ctrl-C:\n\n\
         * {sent} records simulated and processed, {:.0} a second; {builds} builds published; it stopped in {stopped_s:.1} s\n\
         * the audit holds, all {equations} equations of it\n\
         {}\
         * CPU time: {:.0} s of {:.0} s wall time; peak of resident memory: {:.2} GB\n",
        sent as f64 / length.as_secs_f64(),
        memory(&resident, length),
        cost.cpu_s,
        cost.wall_s,
        cost.peak_gb,
    ))
}

/// What a program that has to succeed printed at its end, and what it cost.
fn succeeded(name: &str, program: Running) -> Result<(Cost, Value)> {
    let (status, cost) = program.finish()?;
    if !status.success() {
        bail!("{name} ended with {status}\n{}", cost.stdout);
    }
    let summary = serde_json::from_str(&cost.stdout).with_context(|| format!("{name} printed no JSON"))?;
    Ok((cost, summary))
}

/// Builds and audits; how many equations hold, and how many builds there were.
fn audit(home: &Home, program: &dyn Fn(&[&str]) -> Command) -> Result<(usize, Value)> {
    run(&mut program(&["build"]))?;
    let (_, audit) = succeeded("audit", Running::start(&mut program(&["audit"]))?)?;
    if audit["holds"] != true {
        bail!("the audit does not hold: {audit}");
    }
    let equations = audit["equations"].as_array().map_or(0, Vec::len);
    Ok((equations, home.query("select count(*) as n from gold.builds")?[0]["n"].clone()))
}

/// How resident memory went, in GB with when.
fn memory(resident: &[(Duration, f64)], length: Duration) -> String {
    // In the first half caches fill, and threads get their arenas.
    let steady = resident.iter().filter(|(at, _)| *at >= length / 2);
    let points: Vec<(f64, f64)> = steady.map(|(at, gb)| (at.as_secs_f64() / 60.0, gb * MIB_PER_GB)).collect();
    let growth = slope(&points);
    let verdict = if growth <= FLAT_MIB_PER_MIN { "flat" } else { "**not flat**" };
    let during = |from: u32, to: u32| {
        let within = |at: &Duration| (length * from / 3..length * to / 3).contains(at);
        largest(resident.iter().filter(|(at, _)| within(at)).map(|(_, gb)| *gb))
    };
    let moves = if growth < -0.005 { "shrinks" } else { "grows" };
    format!(
        "* resident memory of `up` {moves} by {:.2} MiB a minute (least squares, the second half of the time): {verdict}; \
         flat is growth of at most {FLAT_MIB_PER_MIN:.0} MiB a minute\n\
         * largest resident memory in the three thirds of the run: {:.2}, {:.2} and {:.2} GB\n",
        growth.abs(),
        during(0, 1),
        during(1, 2),
        during(2, 3),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_by_the_second_half() {
        let run = |mib: fn(f64) -> f64| {
            let looks: Vec<_> = (0..200).map(|i| (Duration::from_secs(i), mib(i as f64 / 60.0) / MIB_PER_GB)).collect();
            memory(&looks, Duration::from_secs(200))
        };
        let fills = run(|minutes| 500.0 + 100.0 * minutes.min(1.5));
        assert!(fills.contains("by 0.00 MiB a minute") && fills.contains(": flat;"), "{fills}");
        let leaks = run(|minutes| 500.0 + 6.0 * minutes);
        assert!(leaks.contains("grows by 6.00 MiB a minute") && leaks.contains("**not flat**"), "{leaks}");
        let gives_back = run(|minutes| 500.0 - 20.0 * minutes);
        assert!(gives_back.contains("shrinks by 20.00 MiB a minute") && gives_back.contains(": flat;"), "{gives_back}");
    }
}
