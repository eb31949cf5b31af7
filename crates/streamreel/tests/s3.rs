//! The whole way with the lake in a bucket of a real S3-compatible server and the topics on a real Kafka, with kills on the
//! way: what is asked gets the same answers as from a home. `cargo xtask s3` starts both servers and runs this; without them it
//! fails.

mod common;

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Home, assert_same, repository, setting, text};

const RECORDS: &str = "60000";
/// How long a lease of somebody who was killed is respected here.
const LEASE_EXPIRY: &str = "lake.lease_expiry=3s";

fn variable(name: &str, what: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} names {what}; `cargo xtask s3` starts one"))
}

fn lake() -> String {
    let bucket = variable("STREAMREEL_TEST_S3", "a bucket of a server");
    format!("s3://{bucket}/{}", uuid::Uuid::new_v4())
}

/// A home whose lake is in a bucket, with a Kafka or not.
struct InBucket {
    home: Home,
    lake: String,
    log: Option<String>,
}

impl InBucket {
    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["--lake", self.lake.as_str(), "--set", LEASE_EXPIRY];
        if let Some(log) = &self.log {
            all.extend(["--log", log]);
        }
        all.extend(args);
        all
    }

    fn ok(&self, args: &[&str]) -> String {
        self.home.ok(&self.args(args))
    }

    /// As [`Home::gold`].
    fn gold(&self) -> String {
        self.home.gold_with(&self.args(&[]))
    }
}

#[test]
fn a_lake_in_a_bucket_answers_as_one_in_a_home() {
    let (records, seed) = (setting("RECORDS", RECORDS), setting("SEED", "7"));
    let count: i64 = records.parse().expect("a number");
    let events = ["simulate", "--events", &records, "--dirt", "0.1", "--seed", &seed];
    let in_home = Home::new();
    in_home.ok(&events);
    in_home.ok(&["process"]);
    in_home.ok(&["build"]);

    let broker = variable("STREAMREEL_TEST_KAFKA", "an empty broker");
    let bucket = InBucket { home: Home::new(), lake: lake(), log: Some(format!("kafka://{broker}")) };
    bucket.ok(&events);
    // Killed between small commits; the one that comes next waits until the killed one's leases have run out.
    let process =
        bucket.args(&["process", "--set", "process.commit_records=4000", "--set", "process.commit_interval=50ms"]);
    let mut child = bucket.home.start(&process);
    sleep(Duration::from_millis(1200));
    println!(
        "process was killed {}",
        if child.try_wait().expect("waited").is_none() { "at work" } else { "after its end" }
    );
    child.kill().expect("killed");
    child.wait().expect("waited");
    bucket.ok(&["process"]);
    // So is a build.
    let mut child = bucket.home.start(&bucket.args(&["build"]));
    sleep(Duration::from_millis(1500));
    println!(
        "build was killed {}",
        if child.try_wait().expect("waited").is_none() { "at work" } else { "after its end" }
    );
    child.kill().expect("killed");
    child.wait().expect("waited");
    bucket.ok(&["build"]);

    let audit: serde_json::Value = serde_json::from_str(&bucket.ok(&["audit", "--json"])).expect("JSON");
    assert_eq!(audit["holds"], true, "{audit}");
    let rows = bucket.ok(&["query", "--json", "select count(*) as n from bronze.events"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&rows).expect("JSON")[0]["n"], count);
    assert_same(&in_home.gold(), &bucket.gold(), "gold in a bucket");
    assert!(!bucket.home.path().join("data_lake").exists(), "nothing of the lake is in the home");

    // Upkeep changes no answer.
    bucket.ok(&["lake", "optimize"]);
    bucket.ok(&["lake", "vacuum", "--retention", "0s", "--no-writers"]);
    assert!(bucket.ok(&["lake", "history", "silver.views"]).contains("derive"));
    assert_same(&in_home.gold(), &bucket.gold(), "gold after upkeep");

    // Exports are files of this machine.
    let out = bucket.home.file("out");
    bucket.ok(&["export", "--format", "csv", "--to", &out.to_string_lossy(), "viewer_retention"]);
    let ours = fs::read_to_string(out.join("viewer_retention.csv")).expect("exported");
    assert!(ours.lines().count() > 10, "{ours}");
    serves(&bucket);
}

/// The page's API and SQL read the bucket.
fn serves(bucket: &InBucket) {
    let args = bucket.args(&["serve", "--http", "127.0.0.1:0", "--sql", "127.0.0.1:0", "--json"]);
    let mut child = bucket.home.start(&args);
    let said = serde_json::Deserializer::from_reader(child.stdout.take().expect("a pipe"));
    let urls: serde_json::Value = said.into_iter().next().expect("its addresses").expect("JSON");
    let page = urls["page"].as_str().expect("the page's address").to_owned();
    let ready = get(&page, "/readyz");
    let top = get(&page, "/api/v1/top/content");
    child.kill().expect("killed");
    child.wait().expect("waited");
    assert!(ready.contains("\"ready\":true"), "{ready}");
    assert!(top.contains("watch_time_s"), "{top}");
}

fn get(page: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let address = page.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered");
    text(&answer)
}

#[test]
fn a_store_that_goes_away_is_waited_for_or_said() {
    let folder = variable("STREAMREEL_TEST_S3_DIR", "the folder of the server");
    let script = |args: &[&str]| {
        let ran = Command::new(repository("s3/server.sh")).args(args).status();
        assert!(ran.expect("the script runs").success(), "server.sh {args:?}");
    };
    // A server of its own: others use the one that is there.
    let own = format!("{folder}-own");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    script(&["start", &own, &port.to_string(), "lake"]);
    let endpoint = format!("s3.endpoint=http://127.0.0.1:{port}");
    let bucket = InBucket { home: Home::new(), lake: "s3://lake/away".to_owned(), log: None };
    let with = |args: &[&'static str]| bucket.args(&[&["--set", endpoint.as_str()], args].concat()).join("\n");
    let run = |args: String| args.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let ok = |args: &[&'static str]| bucket.home.ok(&run(with(args)).iter().map(String::as_str).collect::<Vec<_>>());
    ok(&["simulate", "--events", "20000"]);
    let args = run(with(&["process", "--set", "process.commit_records=1000", "--set", "process.commit_interval=50ms"]));
    let child = bucket.home.start(&args.iter().map(String::as_str).collect::<Vec<_>>());
    sleep(Duration::from_millis(700));
    script(&["kill", &own]);
    sleep(Duration::from_secs(1));
    script(&["start", &own, &port.to_string()]);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "process survives a store that comes again: {}", text(&output.stderr));
    ok(&["process"]);
    let audit = ok(&["audit", "--json"]);
    assert!(audit.contains("\"holds\": true") || audit.contains("\"holds\":true"), "{audit}");

    script(&["kill", &own]);
    let began = Instant::now();
    let args = run(with(&["--set", "lake.timeout=2s", "query", "select 1"]));
    let said = bucket.home.fails(1, &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.contains("does not answer") && said.contains("s3://lake/away"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    fs::remove_dir_all(&own).expect("removed");
}

#[test]
fn what_is_wrong_with_a_store_is_said() {
    let home = Home::new();
    let ours = lake();
    let cases: [(i32, &[&str], &str); 6] = [
        (1, &["--lake", "s3://no-such-bucket-here/lake"], "no bucket no-such-bucket-here"),
        (1, &["--lake", &ours, "--set", "s3.secret_access_key=wr0ng"], "refused the credentials"),
        (2, &["--lake", "gs://bucket/lake"], "neither a folder nor s3://"),
        (2, &["--lake", &ours, "--set", "s3.regoin=here"], "no setting s3.regoin"),
        (2, &["--lake", &ours, "--set", "s3.allow_http=false"], "without TLS"),
        (1, &["--lake", &ours], "there is no lake at"),
    ];
    for (status, args, says) in cases {
        let said = home.fails(status, &[args, &["query", "select 1"]].concat());
        assert!(said.contains(says) && !said.contains("wr0ng"), "{args:?}: {said}");
    }
    let shown = home.ok(&["--lake", &ours, "--set", "s3.secret_access_key=wr0ng", "config"]);
    assert!(shown.contains(&ours) && shown.contains("(secret)") && !shown.contains("wr0ng"), "{shown}");
    let demo = home.fails(2, &["--lake", &ours, "demo"]);
    assert!(demo.contains("without --lake"), "{demo}");
}
