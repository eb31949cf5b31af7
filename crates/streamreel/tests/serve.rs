//! The program serving: `serve`, `up` and `demo --serve`, looked at from outside.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Output};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{Home, repository, text};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
const A_SECOND: Duration = Duration::from_secs(1);

/// The program at work, with its server's address.
struct Serving {
    child: Child,
    addr: SocketAddr,
    said: Receiver<String>,
}

impl Serving {
    /// Starts it, and waits until it says where it serves.
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut child = home.start(args);
        let stderr = child.stderr.take().expect("stderr is piped");
        let (lines, said) = channel();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| lines.send(line)).ok();
        });
        let mut before = Vec::new();
        let addr = loop {
            let line = said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no address in {before:?}"));
            let url =
                line.split("http://").nth(1).and_then(|url| url.split(['/', '\\', '"', ' ']).next()?.parse().ok());
            before.push(line);
            if let Some(addr) = url {
                break addr;
            }
        };
        Self { child, addr, said }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has options");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path, "")
    }

    fn live(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/live/now").1).expect("JSON")
    }

    fn post(&self, events: &[String]) -> Option<u64> {
        let (status, body) = self.request("POST", "/v1/events", &format!("[{}]", events.join(",")));
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        (status == 200).then(|| answer["accepted"].as_u64().expect("a number"))
    }

    /// Interrupts it; what it printed, and how long it took to end.
    fn stop(self) -> (Output, Duration) {
        let status = std::process::Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
        let began = Instant::now();
        let output = self.child.wait_with_output().expect("it ends");
        (output, began.elapsed())
    }
}

/// Follows the live stream.
struct Follower(BufReader<TcpStream>);

impl Follower {
    fn new(addr: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has options");
        stream.write_all(b"GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
        Self(BufReader::new(stream))
    }

    /// The first snapshot that is so, and how long it took.
    fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Duration {
        let began = Instant::now();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("the stream goes on") > 0, "the stream has ended");
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let snapshot = serde_json::from_str(data).expect("JSON");
            if is_so(&snapshot) {
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain: {snapshot}");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test has no other clock")]
fn event(user: &str, id: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    format!(
        r#"{{"user_id":"{user}","video_id":"v1","event_type":"play","timestamp":{now},"position_s":0,"event_id":"{id}"}}"#
    )
}

fn built() -> Home {
    let home = Home::new();
    home.ok(&["ingest", &repository("examples/full.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    home
}

const FREE: [&str; 4] = ["--http", "127.0.0.1:0", "--sql", "127.0.0.1:0"];

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    more.iter().chain(&FREE).copied().collect()
}

#[test]
fn serve_shows_what_others_do() {
    let home = built();
    let serving = Serving::start(&home, &args(&["serve"]));
    assert_eq!(serving.get("/readyz").0, 200);
    assert!(serving.live()["build"]["build_id"].is_string() || serving.live()["build"].is_null());
    let mut follower = Follower::new(serving.addr);
    follower.until(|snapshot| snapshot["received"] == 0 && snapshot["build"]["build_id"].is_string());
    // A thousand clients that say nothing.
    let idle: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(serving.addr).expect("it listens")).collect();
    home.ok(&["simulate", "--events", "300"]);
    assert!(follower.until(|snapshot| snapshot["received"] == 300) < A_SECOND);
    home.ok(&["process"]);
    let all = |snapshot: &Value| {
        let counts = ["clean", "rejected", "duplicates"].map(|name| snapshot[name].as_u64().unwrap_or(0));
        counts.iter().sum::<u64>() == 300 && snapshot["unprocessed"] == 0
    };
    assert!(follower.until(all) < A_SECOND);
    assert_eq!(serving.post(&[event("u", 1)]), None, "it only reads");
    drop(idle);
    let (output, took) = serving.stop();
    assert!(output.status.success() && took < Duration::from_secs(2), "{} {took:?}", output.status);
}

#[test]
fn up_shows_events_within_a_second() {
    let home = Home::new();
    let serving = Serving::start(&home, &args(&["up"]));
    let mut follower = Follower::new(serving.addr);
    follower.until(|_| true);
    for round in 1..=6_u64 {
        assert_eq!(serving.post(&[event(&format!("u{round}"), 1)]), Some(1));
        let received = follower.until(|snapshot| snapshot["received"] == round);
        let clean = received + follower.until(|snapshot| snapshot["viewers_now"] == round);
        assert!(received < A_SECOND && clean < A_SECOND, "{received:?} {clean:?}");
        std::thread::sleep(Duration::from_millis(170 * round));
    }
    let (output, _) = serving.stop();
    assert!(output.status.success(), "{}", output.status);
    assert!(text(&output.stdout).contains("= clean"), "the summary: {}", text(&output.stdout));
    assert_eq!(home.number("select count(*) from bronze.events"), 6);
}

#[test]
fn what_was_accepted_survives_a_kill() {
    const CLIENTS: u64 = 8;
    let home = built();
    let before = home.number("select count(*) from bronze.events");
    let mut serving = Serving::start(&home, &args(&["serve", "--collect"]));
    let (addr, id) = (serving.addr, serving.child.id().to_string());
    let (accepted, sent) = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || send_until_it_dies(addr, client))).collect();
        std::thread::sleep(Duration::from_millis(600));
        std::process::Command::new("kill").args(["-KILL", &id]).status().expect("kill runs");
        let ends = clients.into_iter().map(|client| client.join().expect("a client ends"));
        ends.fold((0, 0), |(accepted, sent), end| (accepted + end.0, sent + end.1))
    });
    serving.child.wait().expect("it was killed");
    assert!(accepted > 0, "nothing was accepted before the kill");
    home.ok(&["process"]);
    let stored = home.number("select count(*) from bronze.events") - before;
    assert!((accepted..=sent).contains(&stored), "accepted {accepted}, stored {stored}, sent {sent}");
    // Whoever got no answer sends again: each event counts once in the end.
    let serving = Serving::start(&home, &args(&["serve", "--collect"]));
    for client in 0..CLIENTS {
        let events: Vec<String> = (0..200).map(|id| event_of(client, id)).collect();
        assert_eq!(serving.post(&events), Some(200));
    }
    serving.stop();
    home.ok(&["process"]);
    home.ok(&["audit"]);
    let clean = "select count(*) from bronze.events where outcome = 'clean' and user_id like 'client-%' \
                 and length(event_id) = 3 and event_id < '200'";
    assert_eq!(home.number(clean), CLIENTS as i64 * 200);
    let twice = "select count(*) from (select user_id, event_id from bronze.events where outcome = 'clean' \
                 group by user_id, event_id having count(*) > 1)";
    assert_eq!(home.number(twice), 0);
}

fn event_of(client: u64, id: u64) -> String {
    format!(
        r#"{{"user_id":"client-{client}","video_id":"v1","event_type":"heartbeat","timestamp":{},"position_s":1,"event_id":"{id:03}"}}"#,
        1_767_571_200 + id
    )
}

/// Sends an event after the other; how many were accepted, and sent.
fn send_until_it_dies(addr: SocketAddr, client: u64) -> (i64, i64) {
    let (mut accepted, mut sent) = (0, 0);
    let Ok(mut stream) = TcpStream::connect(addr) else { return (0, 0) };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket has options");
    for id in 0.. {
        let event = event_of(client, id);
        let request =
            format!("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{event}", event.len());
        if stream.write_all(request.as_bytes()).is_err() {
            break;
        }
        sent += 1;
        let mut answer = [0; 2048];
        match stream.read(&mut answer) {
            Ok(read) if answer[..read].starts_with(b"HTTP/1.1 200") => accepted += 1,
            _ => break,
        }
    }
    (accepted, sent)
}

#[test]
fn a_demo_that_is_served() {
    let home = Home::new();
    let serving = Serving::start(&home, &args(&["demo", "--events", "20000", "--serve"]));
    assert_eq!(serving.get("/readyz").0, 200);
    let (output, took) = serving.stop();
    assert!(output.status.success() && took < Duration::from_secs(2), "{} {took:?}", output.status);
    assert!(text(&output.stdout).contains("equations hold"), "{}", text(&output.stdout));
}

#[test]
fn logs_are_lines_of_json_where_that_is_wanted() {
    let home = built();
    let serving = Serving::start(&home, &args(&["-v", "serve", "--log-format", "json"]));
    assert_eq!(serving.get("/healthz").0, 200);
    assert_eq!(serving.get("/api/none").0, 404);
    let mut lines = Vec::new();
    while lines.len() < 2 {
        let line = serving.said.recv_timeout(PATIENCE).expect("a line for each request");
        let line = serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        // Builds and audits are logged, too.
        if !line["status"].is_null() {
            lines.push(line);
        }
    }
    assert_eq!((&lines[0]["status"], &lines[0]["span"]["path"]), (&200.into(), &"/healthz".into()), "{lines:?}");
    assert_eq!((&lines[1]["status"], &lines[1]["level"]), (&404.into(), &"INFO".into()), "{lines:?}");
    assert!(lines[0]["span"]["id"].as_str().is_some_and(|id| id.len() == 36), "{lines:?}");
    serving.stop();
}

#[test]
fn wrong_use_of_what_serves() {
    let home = built();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    let empty = Home::new();
    let cases: [(&Home, i32, &[&str], &str); 8] = [
        (&empty, 1, &["serve"], "there is no lake"),
        (&home, 1, &["serve", "--http", &taken], "is in use by another program"),
        (&home, 1, &["up", "--http", &taken], "name another address with --http"),
        (&empty, 1, &["demo", "--serve", "--http", &taken], "is in use by another program"),
        (&home, 2, &["serve", "--http", "0.0.0.0:0"], "serve.allow_remote"),
        (&home, 2, &["serve", "--http", "8080"], "expected an address and a port"),
        (&home, 2, &["--set", "collector.cors_origins=example.com", "serve", "--collect"], "is no origin"),
        (&home, 2, &["--set", "serve.hosts=http://stats.example", "serve"], "is no name of a host"),
    ];
    for (home, status, args, expected) in cases {
        let said = home.fails(status, args);
        assert!(said.contains(expected), "{args:?} said {said}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let home = Home::new();
    let mut command = home.command(&["config"]);
    let output =
        command.env("STREAMREEL_COLLECTOR_TOKENS", "hush,hush2").env("STREAMREEL_SQL_PASSWORD", "hush3").output();
    let shown = text(&output.expect("it runs").stdout);
    assert!(shown.contains("tokens = \"(secret)\"") && shown.contains("password = \"(secret)\""), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(home.ok(&["config"]).contains("password = \"\""), "that there is none is no secret");
}
