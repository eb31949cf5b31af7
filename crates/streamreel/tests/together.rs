//! Several processes on one home.

mod common;

use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Home, repository, text};

const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a question has an answer.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(200));
    }
}

fn interrupt(child: &std::process::Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn up_takes_what_others_ingest_and_stops_cleanly() {
    let home = Home::new();
    let up = home.start(&[
        "--set",
        "build.every=3s",
        "--set",
        "upkeep.every=2s",
        "up",
        "--simulate",
        "500",
        "--http",
        "127.0.0.1:0",
        "--sql",
        "127.0.0.1:0",
    ]);
    until("up has made its lake", || home.path().join("data_lake/bronze/events/_delta_log").exists());
    home.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    home.ok(&["simulate", "--events", "3000", "--seed", "77"]);
    until("it is built", || home.run(&["query", "select * from gold.builds"]).status.success());
    until("more is built", || home.number("select count(*) from gold.builds") >= 2);
    // Shares the partitions while it lasts.
    home.ok(&["process"]);
    interrupt(&up);
    let output = up.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    home.ok(&["process"]);
    home.ok(&["build"]);
    let topics = home.json(&["topics"]);
    let received = topics.as_array().expect("topics").iter().find(|t| t["name"] == "video-events");
    let received = received.and_then(|t| t["records"].as_i64()).expect("records");
    assert_eq!(home.number("select count(*) from bronze.events"), received);
    home.ok(&["audit"]);
}

#[test]
fn several_ups_share_the_work_and_one_builds() {
    let home = Home::new();
    let said = |up: &str| std::fs::read_to_string(home.file(up)).unwrap_or_default();
    let start = |up: &str| {
        let to = std::fs::File::create(home.file(up)).expect("a file");
        let args = [
            "--set",
            "build.every=1s",
            "--set",
            "upkeep.every=1s",
            "up",
            "--http",
            "127.0.0.1:0",
            "--sql",
            "127.0.0.1:0",
        ];
        home.command(&args).stderr(to).stdout(std::process::Stdio::null()).spawn().expect("it starts")
    };
    let builds = |up: &str| said(up).matches("silver ").count();
    let mut first = start("first.log");
    until("the first builds", || {
        home.ok(&["simulate", "--events", "2000", "--seed", "5"]);
        builds("first.log") > 0
    });
    let mut second = start("second.log");
    until("the first builds, and not the second", || builds("first.log") > 3);
    assert_eq!(builds("second.log"), 0, "{}", said("second.log"));
    first.kill().expect("killed");
    first.wait().expect("waited");
    until("the second builds when the first has gone", || builds("second.log") > 0);
    home.ok(&["simulate", "--events", "20000", "--seed", "6"]);
    home.ok(&["process"]);
    interrupt(&second);
    assert!(second.wait().expect("waited").success(), "{}", said("second.log"));
    home.ok(&["build"]);
    home.ok(&["audit"]);
}

#[test]
fn a_second_build_is_refused_or_waits() {
    let home = Home::new();
    home.ok(&["simulate", "--events", "400000"]);
    home.ok(&["process"]);
    let first = home.start(&["build"]);
    let lock = home.path().join("data_lake/_leases/build.lock");
    until("the first has the lease", || std::fs::metadata(&lock).is_ok_and(|m| m.len() > 0));
    let said = home.fails(1, &["build"]);
    assert!(said.contains(&first.id().to_string()), "says who has it: {said}");
    home.ok(&["build", "--wait"]);
    let output = first.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(home.number("select count(*) from gold.builds"), 1);
}

#[test]
fn an_interrupted_build_publishes_nothing_and_the_next_one_does() {
    let home = Home::new();
    home.ok(&["simulate", "--events", "400000"]);
    home.ok(&["process"]);
    let build = home.start(&["build"]);
    let lock = home.path().join("data_lake/_leases/build.lock");
    until("it has the lease", || std::fs::metadata(&lock).is_ok_and(|m| m.len() > 0));
    interrupt(&build);
    let output = build.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(said.contains("stopping"), "{said}");
    home.ok(&["build"]);
    home.ok(&["audit"]);
}

#[test]
fn the_reader_may_leave() {
    let home = Home::new();
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "{} --home {} simulate --events 100000 --to - | head -n 3",
            env!("CARGO_BIN_EXE_streamreel"),
            home.path().display()
        ))
        .output()
        .expect("sh runs");
    assert_eq!(text(&output.stdout).lines().count(), 3);
    assert!(!text(&output.stderr).contains("error"), "{}", text(&output.stderr));
}
