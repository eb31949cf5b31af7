//! SIGKILL at any moment of `process` and `build` loses nothing, doubles nothing, and does not show in gold.

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::{Home, assert_same, setting};

const KILLS: &str = "20";
const RECORDS: &str = "150000";

/// A pseudo-random pause that is the same in every run; the machine's own noise does the rest.
fn pause(state: &mut u64, longest_ms: u64) -> Duration {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    Duration::from_millis(10 + *state % longest_ms)
}

/// Runs the command over and over, killed after a pause each time, until it was killed so often while it was at work.
fn killed(home: &Home, args: &[&str], kills: usize, longest_ms: u64, state: &mut u64) -> usize {
    let mut at_work = 0;
    for _ in 0..kills {
        let mut child = home.start(args);
        sleep(pause(state, longest_ms));
        at_work += usize::from(child.try_wait().expect("waited").is_none());
        child.kill().expect("killed");
        child.wait().expect("waited");
    }
    at_work
}

#[test]
fn kills_do_not_show() {
    let (records, dirt, seed) = (setting("RECORDS", RECORDS), setting("DIRT", "0.1"), setting("SEED", "3"));
    let kills: usize = setting("KILLS", KILLS).parse().expect("a number");
    let events = ["simulate", "--events", &records, "--dirt", &dirt, "--seed", &seed];
    let undisturbed = Home::new();
    undisturbed.ok(&events);
    undisturbed.ok(&["process"]);
    undisturbed.ok(&["build"]);

    let home = Home::new();
    home.ok(&events);
    let mut state = 42;
    // Small commits, so that a kill falls between many of them.
    let process = ["process", "--set", "process.commit_records=5000"];
    let at_work = killed(&home, &process, kills / 2, 400, &mut state);
    println!("{at_work} kills met process at work");
    assert!(at_work > 0, "no kill met a processor at work");
    home.ok(&process);
    assert_eq!(home.number("select count(*) from bronze.events"), records.parse::<i64>().expect("a number"));
    let at_work = killed(&home, &["build"], kills / 2, 1500, &mut state);
    println!("{at_work} kills met build at work");
    assert!(at_work > 0, "no kill met a build at work");
    home.ok(&["build"]);
    let audit = home.json(&["audit"]);
    assert_eq!(audit["holds"], true);
    assert_same(&undisturbed.gold(), &home.gold(), "gold after kills");
}
