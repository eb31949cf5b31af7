//! Several processes on one home.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
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

/// What Prometheus would collect; nothing where nobody answers.
fn metrics(port: u16) -> String {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    text(&ask().unwrap_or_default())
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
fn another_program_has_the_lease_of_builds_until_it_closes_stdin() {
    let home = Home::new();
    home.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    let absent = home.fails(1, &["lake", "lease"]);
    assert!(absent.contains("no lake"), "{absent}");
    home.ok(&["process"]);
    let hold = |args: &[&str]| {
        let mut command = home.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts")
    };
    let mut other = hold(&["lake", "lease"]);
    let (mut asks, answers) = (other.stdin.take().expect("stdin"), other.stdout.take().expect("stdout"));
    let mut answers = BufReader::new(answers).lines();
    for _ in 0..2 {
        let answer = answers.next().expect("an answer").expect("text");
        assert!(answer.starts_with(&format!("process {} on ", other.id())), "{answer}");
        for refused in [&["build"][..], &["lake", "lease"]] {
            let said = home.fails(1, refused);
            assert!(said.contains(&answer), "{said} does not say {answer}");
        }
        asks.write_all(b"\n").expect("asked");
    }
    let waits = hold(&["lake", "lease", "--wait"]);
    drop(asks);
    assert!(other.wait().expect("waited").success());
    let output = waits.wait_with_output().expect("it ends");
    assert!(output.status.success() && text(&output.stdout).lines().count() == 1, "{}", text(&output.stdout));
    home.ok(&["build"]);
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
        home.command(&args).stderr(to).stdout(Stdio::null()).spawn().expect("it starts")
    };
    let builds = |up: &str| said(up).matches("silver ").count();
    let mut first = start("first.log");
    until("the first builds", || {
        home.ok(&["simulate", "--events", "2000", "--seed", "5"]);
        builds("first.log") > 0
    });
    let metric = |up: &str, name: &str| {
        let (said, page) = (said(up), "http://127.0.0.1:");
        let port = said.split(page).nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let metrics = metrics(port);
        let line = metrics.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with(' '))?;
        line.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    let assigned = |up: &str| metric(up, "streamreel_assigned_partitions");
    until("the first holds all partitions", || assigned("first.log") == Some(4.0));
    until("nothing is left to do", || {
        metric("first.log", "streamreel_consumer_lag_records{partition=\"3\"}") == Some(0.0)
    });
    let mut second = start("second.log");
    until("each holds two", || [assigned("first.log"), assigned("second.log")] == [Some(2.0); 2]);
    until("the first builds, and not the second", || builds("first.log") > 3);
    assert_eq!(builds("second.log"), 0, "{}", said("second.log"));
    first.kill().expect("killed");
    first.wait().expect("waited");
    until("the second builds when the first has gone", || builds("second.log") > 0);
    until("the second holds all partitions", || assigned("second.log") == Some(4.0));
    home.ok(&["simulate", "--events", "20000", "--seed", "6"]);
    home.ok(&["process"]);
    interrupt(&second);
    assert!(second.wait().expect("waited").success(), "{}", said("second.log"));
    home.ok(&["build"]);
    home.ok(&["audit"]);
}

#[test]
fn a_processor_of_another_lake_is_refused() {
    let home = Home::new();
    home.ok(&["simulate", "--events", "2000", "--seed", "5"]);
    let first = home.start(&["process", "--follow"]);
    until("the first lands", || home.path().join("log/groups/group-streamreel/partition-video-events-3.lock").exists());
    let other = home.file("other-lake").to_string_lossy().into_owned();
    for command in [&["process"][..], &["process", "--follow"]] {
        let said = home.fails(1, &[&["--lake", &other], command].concat());
        assert!(said.contains("must land the same lake") && said.contains("--lake"), "{said}");
    }
    // The one that was there goes on, and one of the same lake shares the work, whatever it calls it.
    home.ok(&["simulate", "--events", "2000", "--seed", "6"]);
    let same = home.path().join("data_lake").to_string_lossy().into_owned();
    home.ok(&["--lake", &same, "process"]);
    interrupt(&first);
    assert!(first.wait_with_output().expect("it ends").status.success());
    assert_eq!(home.number("select count(*) from bronze.events"), 4_000);
    // And after it another lake may be landed.
    home.ok(&["--lake", &other, "process"]);
    let rows = home.json(&["--lake", &other, "query", "select count(*) as n from bronze.events"]);
    assert_eq!(rows[0]["n"], 4_000);
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
    assert!(said.contains("stopping") && said.contains("interrupted"), "{said}");
    assert_eq!(output.status.code(), Some(130), "{said}");
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
