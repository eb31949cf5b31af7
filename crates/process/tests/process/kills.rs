//! Killed at random moments, over and over: still every record once in either sink.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use streamreel_process::{Processor, Settings, Until};

use super::support::lake::*;
use super::support::*;

const HOME: &str = "STREAMREEL_TEST_PROCESS_HOME";
const KILLS: usize = 14;

/// Not a test of its own: the process that is killed.
#[test]
fn victim() {
    let Ok(home) = std::env::var(HOME) else { return };
    let home = PathBuf::from(home);
    let (log, lake) = (log_in(&home), lake_in(&home));
    let often = Duration::from_millis(3);
    let small = Settings { commit_records: 700, commit_interval: often, topics_interval: often, ..settings() };
    let mut processor = Processor::open(log, Some(&lake), small).unwrap();
    std::fs::write(home.join("running"), "").unwrap();
    processor.run(Until::Cancelled, &NEVER, &|_| {}).unwrap();
}

fn start(home: &Path) -> std::process::Child {
    let _ = std::fs::remove_file(home.join("running"));
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new(exe);
    command
        .args(["kills::victim", "--exact", "--nocapture"])
        .env(HOME, home)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn kills_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = log_in(dir.path());
    let mut dice = Dice(99);
    let (mut between, mut sent) = (0, 0);
    for round in 0..KILLS {
        feed(&*log, &dirty(15_000, round as u64));
        sent += 15_000;
        let mut victim = start(dir.path());
        while !dir.path().join("running").exists() {
            assert!(victim.try_wait().unwrap().is_none(), "the victim ended by itself");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(dice.roll(250)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let (topics, bronze) = (fates_in_topics(&*log).len(), fates_in_bronze(&lake_in(dir.path())).len());
        between += usize::from(topics != bronze);
    }
    assert!(between > 0, "no kill fell between the commits of the two sinks");
    let lake = lake_in(dir.path());
    run_to_end(&mut Processor::open(log.clone(), Some(&lake), settings()).unwrap());
    let expected = expected(&*log, 600_000);
    assert_eq!(expected.len(), sent);
    assert_eq!(fates_in_topics(&*log), expected);
    assert_eq!(fates_in_bronze(&lake), expected);
}
