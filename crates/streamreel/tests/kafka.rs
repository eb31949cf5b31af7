//! The whole way on a real Kafka: killed on the way, gold is what the embedded log gives. `cargo xtask kafka` starts an empty
//! broker and runs this; without one it fails.

mod common;

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Home, assert_same, repository, setting, text};

const RECORDS: &str = "200000";
/// Of the processor; the broker is killed once more.
const KILLS: usize = 2;

fn broker() -> String {
    let broker = std::env::var("STREAMREEL_TEST_KAFKA");
    broker.expect("STREAMREEL_TEST_KAFKA=HOST:PORT names an empty broker; `cargo xtask kafka` starts one")
}

/// Where `kafka/broker.sh` keeps the broker that is killed.
fn broker_folder() -> String {
    std::env::var("STREAMREEL_TEST_KAFKA_DIR").expect("STREAMREEL_TEST_KAFKA_DIR names the broker's folder")
}

fn broker_script(args: &[&str]) {
    let ran = Command::new(repository("kafka/broker.sh")).args(args).stdout(Stdio::null()).status();
    assert!(ran.expect("the script runs").success(), "broker.sh {args:?}");
}

/// Lets it work until so many rows are in bronze, and a moment longer; then SIGKILL. Whether it was still at work.
fn killed_at(home: &Home, mut child: Child, rows: i64, moment_ms: u64) -> bool {
    let began = Instant::now();
    let has = || home.run(&["query", "--latest", "select count(*) as n from bronze.events", "--json"]);
    loop {
        let said = has();
        let count = serde_json::from_slice::<serde_json::Value>(&said.stdout).ok().and_then(|v| v[0]["n"].as_i64());
        if count.is_some_and(|count| count >= rows) || child.try_wait().expect("waited").is_some() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no {rows} rows in bronze");
    }
    sleep(Duration::from_millis(moment_ms));
    let is_at_work = child.try_wait().expect("waited").is_none();
    child.kill().expect("killed");
    child.wait().expect("waited");
    is_at_work
}

#[test]
fn kills_on_kafka_do_not_show() {
    let (records, dirt, seed) = (setting("RECORDS", RECORDS), setting("DIRT", "0.1"), setting("SEED", "5"));
    let count: i64 = records.parse().expect("a number");
    let events = ["simulate", "--events", &records, "--dirt", &dirt, "--seed", &seed];
    let embedded = Home::new();
    embedded.ok(&events);
    embedded.ok(&["process"]);
    embedded.ok(&["build"]);

    let url = format!("kafka://{}", broker());
    let home = Home::new();
    let on_kafka = |args: &[&str]| -> Vec<String> {
        ["--log", &url].into_iter().chain(args.iter().copied()).map(str::to_owned).collect()
    };
    let ok = |args: &[&str]| home.ok(&on_kafka(args).iter().map(String::as_str).collect::<Vec<_>>());
    ok(&events);
    // Small commits, so that a kill falls between many of them.
    let process =
        on_kafka(&["process", "--set", "process.commit_records=4000", "--set", "process.commit_interval=50ms"]);
    let process: Vec<&str> = process.iter().map(String::as_str).collect();
    let mut at_work = 0;
    for kill in 0..KILLS {
        let rows = count * (kill as i64 + 1) / (KILLS as i64 + 2);
        at_work += usize::from(killed_at(&home, home.start(&process), rows, 20 + 37 * kill as u64));
    }
    println!("{at_work} kills met process at work");
    assert!(at_work > 0, "no kill met a processor at work");

    // The broker is killed under it, and comes again.
    let mut child = home.start(&process);
    sleep(Duration::from_millis(600));
    broker_script(&["kill", &broker_folder()]);
    println!(
        "the broker was killed while process {}",
        if child.try_wait().expect("waited").is_none() { "was at work" } else { "had ended" }
    );
    let (_, port) = url.rsplit_once(':').expect("a port");
    broker_script(&["start", &broker_folder(), port]);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "process survives a broker that comes again: {}", text(&output.stderr));
    ok(&["process"]);

    assert_eq!(home.number("select count(*) from bronze.events"), count);
    ok(&["build"]);
    let said = ok(&["audit", "--json"]);
    let audit: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(audit["holds"], true, "{said}");
    let topics = audit["equations"].as_array().expect("equations").iter().filter(|e| e["layer"] == "topics").count();
    assert_eq!(topics, 12, "all partitions of all topics are compared");
    assert_same(&embedded.gold(), &home.gold(), "gold on Kafka");

    let lost = home.fails(1, &["--log", "kafka://127.0.0.1:1", "--set", "log.timeout=1s", "process"]);
    assert!(lost.contains("127.0.0.1:1") && lost.contains("Check that the brokers run"), "{lost}");
}
