//! The collector over real sockets: what is answered is stored, what is not taken leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamreel_serve::collector::{MAX_BODY_BYTES, MAX_EVENTS};
use streamreel_topic::{EmbeddedLog, Error, Fetched, Log, Membership, Producer, Records, Result, TopicInfo};
use support::*;

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn an_answer_means_that_all_is_stored() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut client = server.client();
    let mut stored = 0;
    for round in 0..20 {
        let answer = client.post(events(50, round * 50).as_bytes());
        assert_eq!((answer.status, answer.json()), (200, serde_json::json!({ "accepted": 50 })));
        stored += 50;
        assert_eq!(place.count(), stored, "stored when answered");
    }
    // Events of a user share a partition, under the key that any producer gives them.
    let by_partition = place.received();
    let users = |values: &[Vec<u8>]| -> std::collections::BTreeSet<String> {
        let user = |value: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(value).unwrap()["user_id"].to_string();
        values.iter().map(user).collect()
    };
    assert!(users(&by_partition[0]).is_disjoint(&users(&by_partition[1])));
    assert_eq!(users(&by_partition[0]).len() + users(&by_partition[1]).len(), 97);
}

#[test]
fn bodies_and_what_is_stored_of_them() {
    type Case<'a> = (&'a [(&'a str, &'a str)], Vec<u8>, &'a [&'a str]);
    const PLAIN: (&str, &str) = ("content-type", "text/plain;charset=UTF-8");
    const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
    const GZIP: (&str, &str) = ("content-encoding", "gzip");
    let cases: [Case; 12] = [
        (&[JSON], br#"[{"user_id":1},{"user_id":2}]"#.to_vec(), &[r#"{"user_id":1}"#, r#"{"user_id":2}"#]),
        (&[NDJSON], b"{\"user_id\":1}\n{\"user_id\":2}\n".to_vec(), &[r#"{"user_id":1}"#, r#"{"user_id":2}"#]),
        (&[PLAIN], br#"[{"beacon":1}]"#.to_vec(), &[r#"{"beacon":1}"#]),
        (&[], br#"{"beacon":1}"#.to_vec(), &[r#"{"beacon":1}"#]),
        (&[JSON], b"{\n  \"a\": 1\n}\n".to_vec(), &["{\n  \"a\": 1\n}"]),
        (&[JSON, GZIP], gzip(br#"[{"a":1},{"b":2}]"#), &[r#"{"a":1}"#, r#"{"b":2}"#]),
        (&[JSON, GZIP], [gzip(br#"[{"a":1},"#), gzip(br#"{"b":2}]"#)].concat(), &[r#"{"a":1}"#, r#"{"b":2}"#]),
        (&[JSON], b"[]".to_vec(), &[]),
        // Malformed, but there is something in it: stored, for the processor to reject.
        (&[JSON], br#"[{"a":1},{"b":"#.to_vec(), &[r#"{"a":1}"#, r#"{"b":"#]),
        (&[JSON], br#"[1,"x",[2]]"#.to_vec(), &["1", "\"x\"", "[2]"]),
        (&[NDJSON], b"{\"a\":1}\nnoise\n\n{\"b\":2}".to_vec(), &[r#"{"a":1}"#, "noise", r#"{"b":2}"#]),
        (&[JSON], b"[{\"a\":\"\xff\"}]".to_vec(), &["{\"a\":\"\u{fffd}\"}"]),
    ];
    for (headers, body, expected) in cases {
        let place = Place::new();
        let server = place.collect(|_| ());
        let answer = server.client().request("POST", "/v1/events", headers, &body);
        let sent = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(answer.status, 200, "{sent}: {}", answer.text());
        assert_eq!(answer.json()["accepted"], expected.len(), "{sent}");
        let received = place.received();
        let mut stored: Vec<String> =
            received.iter().flatten().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
        let mut expected = expected.to_vec();
        stored.sort_unstable();
        expected.sort_unstable();
        assert_eq!(stored, expected, "{sent}");
    }
}

#[test]
fn what_is_not_taken_leaves_nothing_behind() {
    type Case<'a> = (u16, &'a str, &'a [(&'a str, &'a str)], Vec<u8>, &'a str);
    const GZIP: (&str, &str) = ("content-encoding", "gzip");
    let long = |bytes: usize| format!("[\"{}\"]", "x".repeat(bytes - 4)).into_bytes();
    let whole = gzip(events(100, 0).as_bytes());
    let bomb = gzip(&vec![b'['; 100 << 20]);
    assert!(bomb.len() < MAX_BODY_BYTES);
    let many = format!("[{}1]", "1,".repeat(MAX_EVENTS as usize)).into_bytes();
    let cases: [Case; 15] = [
        (400, "POST", &[JSON], b"".to_vec(), "empty"),
        (400, "POST", &[JSON], b"user_id=u&video_id=v".to_vec(), "JSON array"),
        (400, "POST", &[JSON], b"\x00\x01\xfe".to_vec(), "JSON array"),
        (400, "POST", &[JSON, GZIP], whole[..whole.len() / 2].to_vec(), "no whole gzip"),
        (400, "POST", &[JSON, GZIP], b"[{\"a\":1}]".to_vec(), "no whole gzip"),
        (413, "POST", &[JSON], long(MAX_BODY_BYTES + 1), "500000 bytes"),
        (413, "POST", &[JSON], long(10 << 20), "500000 bytes"),
        (413, "POST", &[JSON, GZIP], bomb, "500000 bytes"),
        (413, "POST", &[JSON], many, "10000 events"),
        (415, "POST", &[("content-type", "application/x-www-form-urlencoded")], b"[]".to_vec(), "application/json"),
        (415, "POST", &[("content-type", "")], b"[]".to_vec(), "application/json"),
        (415, "POST", &[JSON, ("content-encoding", "br")], b"[]".to_vec(), "gzip"),
        (415, "POST", &[JSON, ("content-encoding", "gzip, gzip")], b"[]".to_vec(), "gzip"),
        (405, "GET", &[], b"".to_vec(), "method"),
        (405, "PUT", &[JSON], b"[]".to_vec(), "method"),
    ];
    let place = Place::new();
    let server = place.collect(|_| ());
    for (status, method, headers, body, expected) in cases {
        let answer = server.client().request(method, "/v1/events", headers, &body);
        assert_eq!(answer.status, status, "{method} {headers:?}: {}", answer.text());
        let said = answer.problem();
        assert!(said.contains(expected), "{said}");
        assert_eq!(place.count(), 0, "{said}");
    }
    assert_eq!(server.client().request("PUT", "/v1/events", &[], b"").header("allow"), Some("POST"));
    // At the limit it is taken.
    assert_eq!(server.client().post(&long(MAX_BODY_BYTES)).json(), serde_json::json!({ "accepted": 1, "cut": 1 }));
    assert_eq!(place.received().concat()[0].len(), streamreel_event::MAX_RECORD_BYTES);
    assert_eq!(place.process().counts.rejected["too_large"], 1);
}

#[test]
fn bodies_that_break_off_or_come_in_pieces() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let mut client = server.client();
    client.send(format!("{head}content-length: 1000\r\n\r\n[{{\"a\":1}},").as_bytes());
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(client.answer().is_none_or(|answer| answer.status == 400));
    assert_eq!(place.count(), 0);
    // Chunks, without a length.
    let mut client = server.client();
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    for part in ["[{\"a\":1}", ",{\"b\":2}", "]"] {
        client.send(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
        std::thread::sleep(Duration::from_millis(20));
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().unwrap().json()["accepted"], 2);
    // Chunks that never end.
    let mut client = server.client();
    client.send(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "[".repeat(60_000));
    for _ in 0..20 {
        client.send(chunk.as_bytes());
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 413);
    assert_eq!(place.count(), 2);
}

#[test]
fn a_client_that_retries_is_deduplicated() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let body = events(200, 0);
    for _ in 0..3 {
        assert_eq!(server.client().post(body.as_bytes()).json()["accepted"], 200);
    }
    let counts = place.process().counts;
    assert_eq!((counts.received, counts.clean, counts.duplicates), (600, 200, 400));
}

#[test]
fn many_clients_at_once_lose_nothing() {
    const CLIENTS: usize = 24;
    const REQUESTS: usize = 15;
    let place = Place::new();
    let server = place.collect(|_| ());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.client();
                for request in 0..REQUESTS {
                    let answer = connection.post(events(10, (client * REQUESTS + request) * 10).as_bytes());
                    assert_eq!(answer.json()["accepted"], 10, "{}", answer.text());
                }
            });
        }
    });
    let mut stored = place.received().concat();
    assert_eq!(stored.len(), CLIENTS * REQUESTS * 10);
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), CLIENTS * REQUESTS * 10, "each once");
}

#[test]
fn under_pressure_clients_are_told_to_come_again() {
    let place = Place::new();
    let server = place.collect(|settings| settings.memory_bytes = 128 << 10);
    let hold = |client: &mut Client| {
        client.send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n[");
        std::thread::sleep(Duration::from_millis(100));
    };
    let (mut first, mut second) = (server.client(), server.client());
    hold(&mut first);
    hold(&mut second);
    let answer = server.client().post(b"[{\"a\":1}]");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    assert!(answer.problem().contains("again in a second"));
    assert_eq!(place.count(), 0);
    first.send(format!("{}]", " ".repeat(98)).as_bytes());
    assert_eq!(first.answer().unwrap().status, 200);
    assert_eq!(server.client().post(b"[{\"a\":1}]").status, 200);
    drop(second);
}

#[test]
fn tokens_and_origins() {
    let place = Place::new();
    let server = place.collect(|settings| {
        settings.tokens = vec!["secret".to_owned()];
        settings.cors_origins = vec!["https://site.example".to_owned()];
    });
    let post = |headers: &[(&str, &str)]| server.client().request("POST", "/v1/events", headers, b"[{\"a\":1}]");
    let answer = post(&[JSON]);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    let bearer = ("authorization", "Bearer secret");
    assert_eq!(post(&[JSON, bearer]).status, 200);
    let answer = post(&[JSON, bearer, ("origin", "https://site.example")]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://site.example")));
    let answer = post(&[("content-type", "text/plain"), bearer, ("origin", "https://evil.example")]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    let asked = [("origin", "https://site.example"), ("access-control-request-method", "POST")];
    let answer = server.client().request("OPTIONS", "/v1/events", &asked, b"");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://site.example")));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(place.count(), 2);
    // A page on the server's own address needs no permission.
    let open = Place::new();
    let server = open.collect(|_| ());
    let answer = server.client().request("POST", "/v1/events", &[JSON, ("origin", "http://localhost")], b"[{\"a\":1}]");
    assert_eq!(answer.status, 200);
}

#[test]
fn the_schema_is_there_and_a_server_without_a_collector_says_so() {
    let place = Place::new();
    for server in [place.collect(|_| ()), place.serve(|_| ())] {
        let answer = server.client().get("/v1/events/schema");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/schema+json")));
        assert_eq!(answer.json()["required"].as_array().unwrap().len(), 4);
    }
    let answer = place.serve(|_| ()).client().post(b"[]");
    assert_eq!(answer.status, 404);
    assert!(answer.problem().contains("serve --collect"));
}

/// A log whose commits fail in turn as it is told.
struct Failing {
    log: EmbeddedLog,
    commits: Arc<AtomicUsize>,
}

struct FailingProducer {
    inner: Box<dyn Producer>,
    commits: Arc<AtomicUsize>,
}

/// The first commits in order: the disk is full, the log is held, something else, stored but the answer is lost; then all is well.
const FAILURES: usize = 4;

impl Producer for FailingProducer {
    fn send(&mut self, topic: &str, partition: u32, records: Records) -> Result<()> {
        self.inner.send(topic, partition, records)
    }

    fn send_offsets(&mut self, group: &str, topic: &str, partition: u32, from: i64, next: i64) -> Result<()> {
        self.inner.send_offsets(group, topic, partition, from, next)
    }

    fn commit(&mut self) -> Result<()> {
        let path = "topics.sqlite".into();
        match self.commits.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::DiskFull { path }),
            1 => Err(Error::Busy { path, waited_s: 60 }),
            2 => Err(Error::DamagedFile { path, detail: "a test".to_owned() }),
            3 => {
                self.inner.commit()?;
                Err(Error::Busy { path, waited_s: 60 })
            }
            _ => self.inner.commit(),
        }
    }

    fn abort(&mut self) -> Result<()> {
        let is_stored = self.commits.load(Ordering::SeqCst) == FAILURES;
        self.inner.abort()?;
        if is_stored { Err(Error::AlreadyCommitted { transactional_id: "c".to_owned() }) } else { Ok(()) }
    }
}

impl Log for Failing {
    fn identity(&self, topic: &str) -> Result<String> {
        self.log.identity(topic)
    }

    fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32> {
        self.log.ensure_topic(topic, partitions)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.log.topics()
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<i64>> {
        self.log.range(topic, partition)
    }

    fn fetch(&self, topic: &str, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        self.log.fetch(topic, partition, offset, max_bytes)
    }

    fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64> {
        self.log.offset_at(topic, partition, timestamp_ms)
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<i64>> {
        self.log.committed(group, topic, partition)
    }

    fn join(&self, group: &str, topics: &[&str], target: Option<&str>) -> Result<Box<dyn Membership>> {
        self.log.join(group, topics, target)
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        let inner = self.log.producer(transactional_id)?;
        Ok(Box::new(FailingProducer { inner, commits: Arc::clone(&self.commits) }))
    }

    fn data_version(&self) -> Result<u64> {
        self.log.data_version()
    }
}

#[test]
fn a_log_that_fails_is_said_and_used_again_when_it_works() {
    let place = Place::new();
    let log = Failing { log: place.log.clone(), commits: Arc::default() };
    let server = place.serve_with(Arc::new(log), |settings| settings.collector = Some(Default::default()));
    let mut client = server.client();
    for (expected, stored) in [("disk is full", 0), ("holds the log", 0), ("log says why", 0)] {
        let answer = client.post(events(5, 0).as_bytes());
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{}", answer.text());
        assert!(answer.problem().contains(expected), "{}", answer.text());
        assert_eq!(place.count(), stored);
    }
    assert_eq!(
        client.post(events(5, 0).as_bytes()).json()["accepted"],
        5,
        "it was stored, only the log's answer was lost"
    );
    assert_eq!(client.post(events(5, 5).as_bytes()).json()["accepted"], 5);
    assert_eq!(place.count(), 10);
}
