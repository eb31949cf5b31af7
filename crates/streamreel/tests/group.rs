//! Several processors of one group on a real Kafka, as real processes under load: they come and go, are killed, stopped for longer
//! than their session, and ended. At every moment the audit holds; in the end every record is there once, with what becomes of
//! it where nobody was disturbed. `cargo xtask kafka` runs this.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::broker::Broker;
use common::{Home, assert_same, setting, text};
use serde_json::Value;

const EVENTS: &str = "60000";
/// The events come in so many pieces, as long as somebody comes or goes; what is left then comes at once.
const PIECES: usize = 300;
const PARTITIONS: &str = "6";
const SESSION: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(120);
/// What becomes of the records.
const FATES: &str =
    "select outcome, coalesce(reason, '') as reason, count(*) as n from bronze.events group by 1, 2 order by 1, 2";

/// A processor, `process --follow`.
struct Processor {
    child: Child,
    said: PathBuf,
}

impl Processor {
    fn start(home: &Home, log: &str, name: &str) -> Self {
        let partitions = format!("log.partitions={PARTITIONS}");
        let session = format!("kafka.session.timeout.ms={}", SESSION.as_millis());
        let args = [
            "--log",
            log,
            "--set",
            &partitions,
            "--set",
            &session,
            "--set",
            "process.topics_interval=50ms",
            "process",
            "--follow",
            "--commit-interval",
            "100ms",
            "--json",
        ];
        let said = home.file(name);
        let errors = fs::File::create(said.with_extension("err")).expect("a file");
        let to = fs::File::create(&said).expect("a file");
        let child = home.command(&args).stdout(to).stderr(errors).spawn().expect("it starts");
        Self { child, said }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).stdout(Stdio::null()).status();
        assert!(sent.expect("kill runs").success());
    }

    fn kill(mut self) {
        assert!(self.child.try_wait().expect("waited").is_none(), "it had ended: {}", self.errors());
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// Ends it cleanly: what it says that it has done.
    fn end(mut self) -> Value {
        self.signal("-INT");
        let began = Instant::now();
        while self.child.try_wait().expect("waited").is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.errors());
            sleep(Duration::from_millis(20));
        }
        let status = self.child.wait().expect("waited");
        assert!(status.success(), "{}", self.errors());
        serde_json::from_str(&fs::read_to_string(&self.said).expect("what it said")).expect("JSON")
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.said.with_extension("err")).unwrap_or_default()
    }
}

/// Says that all is over, also when a check has failed: who waits for it would wait for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An audit; `None` when there is nothing to audit yet.
fn audit(home: &Home, log: &str) -> Option<Value> {
    let output = home.run(&["--log", log, "audit", "--json"]);
    if output.stdout.is_empty() && !home.path().join("data_lake/bronze/events/_delta_log").exists() {
        return None;
    }
    let audit: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    audit["equations"].as_array().is_some_and(|equations| !equations.is_empty()).then_some(audit)
}

fn rows(home: &Home) -> i64 {
    let said = home.run(&["query", "--latest", "select count(*) as n from bronze.events", "--json"]);
    serde_json::from_slice::<Value>(&said.stdout).ok().and_then(|rows| rows[0]["n"].as_i64()).unwrap_or(0)
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(100));
    }
}

/// Comes and goes while events come in, for as long as some audits take; gives what those who ended cleanly have said.
fn come_and_go(home: &Home, log: &str, audits: &AtomicU64) -> Vec<Value> {
    let start = |name: &str| Processor::start(home, log, name);
    let lands_on = |what: &str| {
        let before = rows(home);
        wait_for(what, || rows(home) > before);
    };
    let first = start("first");
    wait_for("the first lands", || rows(home) > 0);
    // Of another lake: refused, and nobody is disturbed.
    let other = home.file("other-lake").to_string_lossy().into_owned();
    let said = home.fails(1, &["--log", log, "--lake", &other, "process", "--follow"]);
    assert!(said.contains("must land the same lake") && said.contains("--lake"), "{said}");
    let (second, third) = (start("second"), start("third"));
    sleep(Duration::from_secs(2));
    lands_on("three land");
    first.kill();
    lands_on("two go on after a kill");
    let fourth = start("fourth");
    sleep(Duration::from_secs(1));
    second.signal("-STOP");
    sleep(SESSION + Duration::from_secs(2));
    lands_on("two go on while one is stopped");
    second.signal("-CONT");
    lands_on("three go on with the one that was stopped");
    let mut said = vec![third.end()];
    lands_on("two go on after one has ended");
    let fifth = start("fifth");
    sleep(Duration::from_secs(2));
    lands_on("three go on");
    wait_for("some audits hold", || audits.load(Ordering::Relaxed) > 3);
    // Whatever has come by then, and is done by those who are there.
    home.ok(&["--log", log, "process"]);
    let zombie = second.end();
    assert!(zombie["taken_over"].as_u64() >= Some(1), "it has noticed that it was stopped for too long: {zombie}");
    said.extend([zombie, fourth.end(), fifth.end()]);
    said
}

#[test]
fn processors_come_and_go_and_nothing_shows() {
    let (events, seed) = (setting("EVENTS", EVENTS), setting("SEED", "5"));
    let undisturbed = Home::new();
    let file = undisturbed.file("events.ndjson");
    let to = file.to_string_lossy().into_owned();
    undisturbed.make();
    undisturbed.ok(&["simulate", "--events", &events, "--dirt", "0.1", "--seed", &seed, "--to", &to]);
    let partitions = format!("log.partitions={PARTITIONS}");
    undisturbed.ok(&["--set", &partitions, "ingest", &to]);
    undisturbed.ok(&["process"]);
    undisturbed.ok(&["build"]);

    let (broker, home) = (Broker::start(), Home::new());
    let log = broker.url();
    #[expect(clippy::disallowed_methods, reason = "the test has made it, of a size that it knows")]
    let lines = fs::read(&file).expect("the events");
    let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    let (have_gone, is_over, audits) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let ingest = |number: usize, lines: &[&[u8]]| {
        let file = home.file(&format!("piece-{number}"));
        fs::write(&file, lines.concat()).expect("written");
        home.ok(&["--log", &log, "--set", &partitions, "ingest", &file.to_string_lossy()]);
    };
    let said = std::thread::scope(|scope| {
        let over = (Over(&have_gone), Over(&is_over));
        let feeding = scope.spawn(|| {
            let mut left = lines.as_slice();
            for number in 0..PIECES {
                let (piece, rest) = left.split_at(left.len().min(lines.len().div_ceil(PIECES)));
                ingest(number, piece);
                left = rest;
                if have_gone.load(Ordering::Relaxed) {
                    break;
                }
                sleep(Duration::from_millis(400));
            }
            assert!(!left.is_empty(), "nothing came any more before the last of them had gone");
            ingest(PIECES, left);
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Some(audit) = audit(&home, &log) {
                    assert_eq!(audit["holds"], true, "{audit}");
                    audits.fetch_add(1, Ordering::Relaxed);
                }
                sleep(Duration::from_millis(300));
            }
        });
        let said = come_and_go(&home, &log, &audits);
        drop(over.0);
        feeding.join().expect("all is fed");
        drop(over.1);
        said
    });
    for (place, summary) in said.iter().enumerate() {
        println!(
            "{place}: {} records, {} commits to bronze, partitions {:?}, taken over {} times",
            summary["received"],
            summary["bronze_commits"],
            summary["partitions"].as_array().expect("partitions").iter().map(|p| &p["partition"]).collect::<Vec<_>>(),
            summary["taken_over"]
        );
        assert!(summary["received"].as_u64() > Some(0), "one had nothing to do: {summary}");
    }
    println!("{} audits held meanwhile", audits.load(Ordering::Relaxed));
    assert!(audits.load(Ordering::Relaxed) > 3);

    home.ok(&["--log", &log, "process"]);
    assert_eq!(home.number("select count(*) from bronze.events"), lines.len() as i64);
    assert_eq!(home.query(FATES), undisturbed.query(FATES), "what became of the records");
    // Titles are made up by the simulator, and stand in the home of the events.
    copy_metadata(&undisturbed, &home);
    home.ok(&["--log", &log, "build"]);
    let audit = audit(&home, &log).expect("an audit");
    assert_eq!(audit["holds"], true, "{audit}");
    let topics = audit["equations"].as_array().expect("equations").iter().filter(|e| e["layer"] == "topics").count();
    assert_eq!(topics, 18, "all partitions of all topics are compared: {audit}");
    assert_same(&undisturbed.gold(), &home.gold(), "gold of a group");
}

fn copy_metadata(from: &Home, to: &Home) {
    fs::create_dir_all(to.path().join("metadata")).expect("made");
    for file in fs::read_dir(from.path().join("metadata")).expect("metadata") {
        let file = file.expect("a file").path();
        fs::copy(&file, to.path().join("metadata").join(file.file_name().expect("a name"))).expect("copied");
    }
}
