//! A command that is stopped before it has done all says so, and a shell does not go on after it.

mod common;

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Home, text};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
/// Many more than are simulated before the signal comes.
const MANY: &str = "20M";

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// The end of a program that was interrupted: its summary as JSON, and what it said.
fn interrupted(child: Child) -> (Value, String) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let said = text(&stderr);
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
    let summary: Value = serde_json::from_slice(&stdout).expect("JSON on stdout");
    assert_eq!(summary["interrupted"], true, "{summary}");
    (summary, said)
}

fn records(home: &Home) -> i64 {
    let topics = home.json(&["topics"]);
    let topic = topics.as_array().expect("topics").iter().find(|topic| topic["name"] == "video-events");
    topic.and_then(|topic| topic["records"].as_i64()).expect("records")
}

#[test]
fn ingest() {
    let home = Home::new();
    let line =
        "{\"user_id\":\"u\",\"video_id\":\"v\",\"timestamp\":\"2026-01-05T00:00:00Z\",\"event_type\":\"play\"}\n";
    // More than a pipe holds, so that some of it has been read once it is written.
    let lines = line.repeat(4096);
    let mut command = home.command(&["ingest", "-", "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(lines.as_bytes()).expect("written");
    signal(&child, "-INT");
    until("it reads no more", || stdin.write_all(lines.as_bytes()).is_err());
    let (summary, said) = interrupted(child);
    assert!(said.contains("copies are recognised"), "{said}");
    let ingested = summary["records"].as_i64().expect("records");
    assert!(ingested > 0, "{summary}");
    assert_eq!(records(&home), ingested);
}

#[test]
fn process() {
    const RECORDS: i64 = 300_000;
    let home = Home::new();
    let simulated = home.json(&["simulate", "--events", &RECORDS.to_string()]);
    assert_eq!(simulated["interrupted"], false);
    // Many small commits, so that it takes its time.
    let child = home.start(&["process", "--json", "--set", "process.commit_records=1000"]);
    let table = home.path().join("data_lake/bronze/events/_delta_log");
    until("it is at work", || table.join("00000000000000000002.json").exists());
    signal(&child, "-TERM");
    let (summary, said) = interrupted(child);
    assert!(said.contains("the topic is not processed to its end"), "{said}");
    let first = summary["received"].as_i64().expect("a count");
    assert!(0 < first && first < RECORDS, "{summary}");
    let rest = home.json(&["process"]);
    assert_eq!(rest["interrupted"], false);
    assert_eq!(rest["received"], RECORDS - first);
    assert_eq!(home.number("select count(*) from bronze.events"), RECORDS);
}

#[test]
fn a_processor_that_follows_has_done_all_it_was_to() {
    let home = Home::new();
    let child = home.start(&["process", "--follow", "--json"]);
    until("it is at work", || home.path().join("data_lake/bronze/events/_delta_log").exists());
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    assert_eq!(summary["interrupted"], false, "{summary}");
}

#[test]
fn simulate_into_the_topic() {
    let home = Home::new();
    let child = home.start(&["simulate", "--events", MANY, "--users", "1000", "--json"]);
    until("it has begun", || home.path().join("metadata/video_metadata.csv").exists());
    signal(&child, "-TERM");
    let (summary, said) = interrupted(child);
    assert!(said.contains("of 20,000,000 records"), "{said}");
    assert_eq!(summary["records"], records(&home));
}

#[test]
fn simulate_into_a_file() {
    let home = Home::new();
    let (file, truth) = (home.file("events.ndjson"), home.file("truth.json"));
    let (to, truth_to) = (file.to_string_lossy(), truth.to_string_lossy());
    let args = ["simulate", "--events", MANY, "--users", "1000", "--to", &to, "--truth", &truth_to, "--json"];
    let child = home.start(&args);
    until("it writes", || std::fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    signal(&child, "-INT");
    let (_, said) = interrupted(child);
    assert!(said.contains("events.ndjson is short") && said.contains("the truth"), "{said}");
    assert!(!truth.exists(), "it would not be that of the file");
}

#[test]
fn a_simulation_in_real_time_may_end_at_any_time() {
    let home = Home::new();
    let file = home.file("events.ndjson");
    let child = home.start(&["simulate", "--rate", "1k", "--for", "10m", "--to", &file.to_string_lossy(), "--json"]);
    until("it writes", || std::fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    signal(&child, "-INT");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
}
