//! A server over a log and a lake of its own, and a client that can also misbehave.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use streamreel_lake::Lake;
use streamreel_process::{Processor, Settings as ProcessSettings, Summary, Until, names};
use streamreel_serve::{Names, Server, Settings, Sources, collector};
use streamreel_topic::{EmbeddedLog, Log};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// How things are called.
pub const NAMES: Names = Names {
    topics: streamreel_audit::Names {
        received: names::VIDEO_EVENTS,
        clean: names::CLEAN_EVENTS,
        dead_letters: names::DEAD_LETTERS,
        group: names::GROUP,
        landed_from: names::LANDED_FROM,
    },
    cut_header: names::CUT,
    reason_header: names::REASON,
    duplicate_reason: names::DUPLICATE,
};
/// Longer than anything should take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The machine's clock.
#[allow(clippy::disallowed_methods, reason = "a test has no other clock")]
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    since.as_micros() as i64
}

/// A log and a lake in a temporary folder.
pub struct Place {
    pub folder: TempDir,
    pub log: EmbeddedLog,
    pub lake: Lake,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path().join("log")).unwrap();
        let lake = Lake::open(folder.path().join("lake")).unwrap();
        Self { folder, log, lake }
    }

    pub fn log_folder(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Processes what is there.
    pub fn process(&self) -> Summary {
        let settings = ProcessSettings { partitions: 2, ..ProcessSettings::default() };
        let mut processor = Processor::open(Arc::new(self.log.clone()), Some(&self.lake), settings).unwrap();
        processor.run(Until::End, &std::sync::atomic::AtomicBool::new(false), &|_| ()).unwrap()
    }

    /// All values of the topic of received records, by partition.
    pub fn received(&self) -> Vec<Vec<Vec<u8>>> {
        // As another process sees them.
        let log = EmbeddedLog::open_read_only(self.log_folder()).unwrap();
        let topics = log.topics().unwrap();
        let Some(topic) = topics.iter().find(|topic| topic.name == names::VIDEO_EVENTS) else { return Vec::new() };
        let all = (0..).zip(&topic.partitions).map(|(partition, info)| {
            let (mut values, mut at) = (Vec::new(), info.first_offset);
            while at < info.next_offset {
                let fetched = log.fetch(names::VIDEO_EVENTS, partition, at, 1 << 20).unwrap();
                values.extend((0..fetched.records.len()).map(|row| fetched.records.value(row).to_vec()));
                at = fetched.next_offset;
            }
            values
        });
        all.collect()
    }

    /// How many records were received.
    pub fn count(&self) -> usize {
        self.received().iter().map(Vec::len).sum()
    }

    /// A server over the place's log.
    pub fn serve(&self, change: impl FnOnce(&mut Settings)) -> Running {
        self.serve_with(Arc::new(self.log.clone()), change)
    }

    /// A server that takes events.
    pub fn collect(&self, change: impl FnOnce(&mut collector::Settings)) -> Running {
        self.serve(|settings| {
            let mut collector = collector::Settings { partitions: 2, ..collector::Settings::default() };
            change(&mut collector);
            settings.collector = Some(collector);
        })
    }

    pub fn serve_with(&self, log: Arc<dyn Log>, change: impl FnOnce(&mut Settings)) -> Running {
        let mut settings = Settings::new("127.0.0.1:0".parse().unwrap(), now_us);
        change(&mut settings);
        let sources = Sources { lake: self.lake.clone(), log: Some(log), names: NAMES };
        Running::start(sources, settings)
    }
}

/// A server that answers.
pub struct Running {
    pub addr: SocketAddr,
    runtime: Option<Runtime>,
    stop: CancellationToken,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    pub fn start(sources: Sources, settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let server = runtime.block_on(Server::bind(sources, settings)).unwrap();
        let addr = server.addr();
        let ended = runtime.spawn(server.run(stop.clone().cancelled_owned()));
        Self { addr, runtime: Some(runtime), stop, ended: Some(ended) }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addr)
    }

    /// Stops it, and says how long that took.
    pub fn stop(mut self) -> Duration {
        let began = Instant::now();
        self.stop.cancel();
        let (runtime, ended) = (self.runtime.take().unwrap(), self.ended.take().unwrap());
        runtime.block_on(ended).unwrap();
        runtime.shutdown_background();
        began.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// What a refusal says; it must be a problem document with this status.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// One connection.
pub struct Client {
    pub stream: TcpStream,
    /// Read and not yet used.
    pending: Vec<u8>,
}

impl Client {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, pending: Vec::new() }
    }

    /// Sends bytes; what the server does not want to hear is not the client's fault.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// A request with a body, and its answer.
    pub fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" || method == "PUT" {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes);
        let answer = if method == "HEAD" { self.head() } else { self.answer() };
        answer.expect("an answer")
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    pub fn post(&mut self, body: &[u8]) -> Answer {
        self.request("POST", "/v1/events", &[("content-type", "application/json")], body)
    }

    /// The next answer; `None` when the server closes the connection without one.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if let Some(length) = answer.header("content-length").map(|length| length.parse::<usize>().unwrap()) {
            while self.pending.len() < length {
                assert!(self.more(), "the body breaks off");
            }
            answer.body = self.pending.drain(..length).collect();
        }
        Some(answer)
    }

    /// The next answer without its body.
    pub fn head(&mut self) -> Option<Answer> {
        let head_end = loop {
            if let Some(at) = find(&self.pending, b"\r\n\r\n") {
                break at;
            }
            if !self.more() {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.pending[..head_end]).into_owned();
        self.pending.drain(..head_end + 4);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        Some(Answer { status, head, body: Vec::new() })
    }

    /// Reads until this text has come; what was read up to and with it.
    pub fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = find(&self.pending, text.as_bytes()) {
                return String::from_utf8_lossy(&self.pending.drain(..at + text.len()).collect::<Vec<_>>())
                    .into_owned();
            }
            assert!(self.more(), "the server closed before {text:?}");
        }
    }

    /// Reads to the end; false if the server does not close within the time.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        self.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut bytes = [0; 4096];
        while Instant::now() < deadline {
            match self.stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(_) => return true,
            }
        }
        false
    }

    fn more(&mut self) -> bool {
        let mut bytes = [0; 64 << 10];
        match self.stream.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(read) => {
                self.pending.extend_from_slice(&bytes[..read]);
                true
            }
        }
    }
}

/// Follows the live stream.
pub struct Follower(Client);

impl Follower {
    pub fn new(addr: SocketAddr) -> Self {
        let mut client = Client::connect(addr);
        client.send(b"GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let head = client.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Self(client)
    }

    /// The next snapshot.
    pub fn next(&mut self) -> Value {
        self.0.until("event: live\ndata: ");
        let data = self.0.until("\n\n");
        serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }

    /// The first snapshot that is so, and how long it took.
    pub fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> (Value, Duration) {
        let began = Instant::now();
        loop {
            let snapshot = self.next();
            if is_so(&snapshot) {
                return (snapshot, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {snapshot}");
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// An event of a user, now.
pub fn event(user: &str, video: &str, kind: &str, id: &str) -> String {
    format!(
        r#"{{"user_id":"{user}","video_id":"{video}","event_type":"{kind}","timestamp":{},"position_s":1,"event_id":"{id}"}}"#,
        now_us()
    )
}

/// An array of events of users `u0`, `u1`, ...
pub fn events(count: usize, from: usize) -> String {
    let all: Vec<String> =
        (from..from + count).map(|i| event(&format!("u{}", i % 97), "v", "play", &i.to_string())).collect();
    format!("[{}]", all.join(","))
}

/// Compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
