//! The platform as real processes under load, hurt at random moments: what was acknowledged is in bronze, nothing is
//! doubled, the audit holds, and gold is what an undisturbed run gives. `cargo xtask crash` runs this; rounds can be
//! repeated by their seeds.

mod clock;
#[path = "../common/mod.rs"]
mod common;
mod dice;
mod hurt;
mod load;
mod platform;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use common::{Home, assert_same, setting};
use dice::Dice;
use hurt::{Hurt, Jump, hurt};
use load::{Load, Sent, batches};
use platform::{Gear, Platform, Servers};
use serde_json::Value;

/// Events of a round.
const EVENTS: &str = "20000";
/// After so long brokers have given up what somebody who was killed has left open: a minute, and what they take to look.
const GIVEN_UP: Duration = Duration::from_secs(90);
/// Hurts of a round.
const HURTS: usize = 4;

/// The lines of a simulated log that come back from bronze as they are.
fn lines_of(file: &PathBuf) -> String {
    #[expect(clippy::disallowed_methods, reason = "the test has made it, of a size that it knows")]
    let bytes = fs::read(file).expect("the simulated events");
    let fits =
        |line: &&[u8]| !line.trim_ascii().is_empty() && line.len() <= 32 << 10 && std::str::from_utf8(line).is_ok();
    let kept: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(fits).collect();
    String::from_utf8(kept.join(&b"\n"[..])).expect("checked above")
}

/// A home in which nothing happens to the events of a seed, and those events.
fn undisturbed(seed: u64) -> (Home, String) {
    let home = Home::new();
    let file = home.file("events.ndjson");
    let (events, seed) = (setting("EVENTS", EVENTS), seed.to_string());
    let to = file.to_string_lossy().into_owned();
    home.make();
    home.ok(&["simulate", "--events", &events, "--dirt", "0.1", "--seed", &seed, "--to", &to]);
    let log = lines_of(&file);
    fs::write(&file, &log).expect("written");
    home.ok(&["ingest", &to]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    (home, log)
}

/// Ends the load where a round fails.
struct EndOfLoad<'a>(&'a Load);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

/// What a round does, and the dice for how and when.
fn plan(seed: u64, gear: Gear) -> (Dice, Vec<Hurt>) {
    let mut dice = Dice::new(seed);
    let plan = (0..HURTS).map(|_| dice.one_of(Hurt::all(gear))).collect();
    (dice, plan)
}

/// One round; what was done.
fn round(name: String, seed: u64, gear: Gear) -> String {
    let (mut dice, plan) = plan(seed, gear);
    let (servers, (undisturbed, log)) = thread::scope(|scope| {
        let servers = scope.spawn(|| Servers::start(gear));
        let undisturbed = undisturbed(seed);
        (servers.join().expect("the servers start"), undisturbed)
    });
    let mut platform =
        Platform::new(name, servers, &undisturbed.path().join("metadata"), plan.contains(&Hurt::ClockJump));
    platform.start();
    if gear == Gear::Kafka {
        platform.start_second();
    }
    let lines: Vec<&str> = log.lines().collect();
    let (http, load) = (platform.http.clone(), Load::default());
    let (mut done, mut jumps) = (Vec::new(), Vec::new());
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| load.send(&http, &lines));
        // If a hurt fails, so does the round, and not by waiting for what is sent.
        let _end = EndOfLoad(&load);
        for (i, kind) in plan.iter().enumerate() {
            load.allow_up_to(batches(&lines) * (i + 1) / HURTS);
            sleep(Duration::from_millis(200 + dice.below(1500)));
            let said = hurt(&mut platform, *kind, &mut dice, &load, &mut jumps);
            done.push(if said.is_empty() { format!("{kind:?}") } else { format!("{kind:?} ({said})") });
        }
        sender.join().expect("all is sent")
    });
    if plan.contains(&Hurt::DiskFull) {
        // What it could not write may have ended it later, too.
        platform.revive();
    }
    platform.end();
    process_all(&platform);
    platform.ok(&["build"]);
    check(&platform, &sent, &jumps);
    assert_same(&undisturbed.gold(), &platform.gold(), "gold after the round");
    done.join(", ")
}

/// Processes what is there, again while somebody who was killed has left a transaction open on a Kafka: readers come to what is behind
/// it when the brokers give that up.
fn process_all(platform: &Platform) {
    let began = Instant::now();
    loop {
        let summary: Value = serde_json::from_str(&platform.ok(&["process", "--json"])).expect("JSON");
        if summary["undecided"].as_u64().expect("a number") == 0 || began.elapsed() > GIVEN_UP {
            return;
        }
        sleep(Duration::from_secs(2));
    }
}

/// How often each line is in bronze.
fn found(platform: &Platform) -> HashMap<String, i64> {
    let rows =
        platform.query("select arrow_cast(payload, 'Utf8') as line, count(*) as n from bronze.events group by payload");
    rows.iter().filter_map(|row| Some((row["line"].as_str()?.to_owned(), row["n"].as_i64()?))).collect()
}

/// Lines that are clean although a copy came before at most the window of duplicates earlier, by the times of arrival
/// that bronze has. A clock that jumps by more than the window makes two copies of what came together; gold is the same
/// all the same.
const DOUBLED: &str = "select line, count(*) as n from (
      select arrow_cast(payload, 'Utf8') as line, outcome, received_at, max(received_at) over (
        partition by payload order by source_partition, source_offset rows between unbounded preceding and 1 preceding
      ) as before from bronze.events
    ) where outcome = 'clean' and before is not null and received_at <= before + interval '10 minutes' group by line";

fn check(platform: &Platform, sent: &HashMap<&str, Sent>, jumps: &[Jump]) {
    let audit = platform.ok(&["audit", "--json"]);
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    assert_eq!(audit["holds"], true, "{audit}");
    let found = found(platform);
    for (line, sent) in sent {
        let rows = found.get(*line).copied().unwrap_or_default();
        let most = sent.acknowledged + sent.unknown;
        assert!(
            (sent.acknowledged..=most).contains(&rows),
            "acknowledged {} times, perhaps stored {} times more, in bronze {rows} times: {line}",
            sent.acknowledged,
            sent.unknown
        );
    }
    assert_eq!(found.keys().find(|line| !sent.contains_key(line.as_str())), None, "bronze has what nobody sent");
    assert_eq!(platform.query(DOUBLED), Vec::<Value>::new(), "clean, and a copy of what came shortly before");
    for Jump { offset_s, from_s, to_s } in jumps {
        let rows = platform.query(&format!(
            "select count(*) as n from bronze.events where received_at between to_timestamp({}) and to_timestamp({})",
            from_s + offset_s,
            to_s + offset_s
        ));
        assert!(rows[0]["n"].as_i64() > Some(0), "nothing has come at the time to which the clock has jumped");
    }
}

fn rounds(gear: Gear) {
    let rounds: u64 = setting("ROUNDS", "3").parse().expect("a number");
    let seed: u64 = setting("SEED", "1").parse().expect("a number");
    let name = format!("{gear:?}").to_lowercase();
    for seed in seed..seed + rounds {
        println!("{name}, seed {seed}: is to do {:?}", plan(seed, gear).1);
        let began = Instant::now();
        let done = round(format!("{name}-{seed}"), seed, gear);
        println!("{name}, seed {seed}: {done}; holds, {:.0} s", began.elapsed().as_secs_f64());
    }
}

#[test]
fn embedded() {
    rounds(Gear::Embedded);
}

#[test]
fn kafka() {
    rounds(Gear::Kafka);
}

#[test]
fn store() {
    rounds(Gear::Store);
}
