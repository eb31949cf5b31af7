//! Rounds of killing, stopping and breaking the platform under load, on either log; `--write` leaves them in `docs/reliability.md`.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::measure::machine;
use crate::tools::{cargo, root};

const OUTPUT: &str = "docs/reliability.md";
const GEARS: [&str; 2] = ["embedded", "kafka"];
/// Of each log.
const ROUNDS: &str = "3";

/// Runs rounds on the logs that are named, else on both.
pub fn run(args: &[String]) -> Result<()> {
    let value =
        |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)).map(String::as_str);
    let (rounds, seed) = (value("--rounds").unwrap_or(ROUNDS), value("--seed").unwrap_or("1"));
    let named: Vec<&str> = GEARS.into_iter().filter(|gear| args.iter().any(|arg| arg == gear)).collect();
    let gears = if named.is_empty() { GEARS.to_vec() } else { named };
    let mut page = format!(
        "# Reliability\n\nWritten by `cargo xtask crash --rounds {rounds} --seed {seed} --write`. In each round `streamreel up` takes events at \
         its collector and builds every 2 s while it is hurt at moments that the seed chooses: SIGKILL; bytes of a torn write behind the log's \
         write-ahead file; SIGSTOP; a full disk that has room again later. On Kafka a second processor shares the work, and the hurts are, besides SIGKILL and \
         SIGSTOP of either: another processor that takes over from one that is stopped, SIGKILL of the broker, and connections to it that are \
         cut for up to twice the session. The machine's clock is not set: that would need a machine of its own. Batches that get no answer are sent again. After each round: whatever was acknowledged is in bronze, as often as it was acknowledged and at most as \
         often as it was sent; no event is clean twice; the audit holds; gold is that of the same events undisturbed.\n\nMachine: {}.\n",
        machine()?
    );
    for gear in gears {
        eprintln!("==> {rounds} rounds on {gear}");
        let said = on(gear, rounds, seed)?;
        // Writing to a string does not fail.
        let _ = write!(page, "\n## On {gear}\n\n```text\n{said}```\n");
    }
    if args.iter().any(|arg| arg == "--write") {
        let path = root().join(OUTPUT);
        fs::write(&path, page).with_context(|| format!("can't write {}", path.display()))?;
        eprintln!("wrote {OUTPUT}");
    }
    Ok(())
}

fn on(gear: &str, rounds: &str, seed: &str) -> Result<String> {
    let mut test = cargo("test", &["--release", "--quiet", "--test", "crash", "--", "--nocapture", "--exact", gear]);
    test.env("STREAMREEL_TEST_ROUNDS", rounds).env("STREAMREEL_TEST_SEED", seed).stdout(Stdio::piped());
    let mut child = test.spawn().context("can't start cargo")?;
    let (mut said, mut passed) = (String::new(), false);
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    for line in lines {
        let line = line?;
        eprintln!("{line}");
        passed |= line.contains("1 passed");
        if line.starts_with("round") || line.starts_with("    ") {
            said += &format!("{line}\n");
        }
    }
    // A name that is no test passes too.
    if !child.wait()?.success() || !passed {
        bail!("a round on {gear} failed; it can be repeated by its seed");
    }
    Ok(said)
}
