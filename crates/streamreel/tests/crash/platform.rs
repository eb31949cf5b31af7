//! The platform under test: its home, its log and lake, and the processes that run on them.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::Clock;
use crate::common::Home;
use crate::common::broker::{Broker, free_port};
use crate::common::store::Store;
use crate::load::request;

/// How long anything may take before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// How long the group on a Kafka waits for a member that is silent.
pub const SESSION: Duration = Duration::from_secs(3);
/// How long a lease in a bucket outlives its holder.
pub const LEASE: Duration = Duration::from_secs(3);
const KEEP_ALL: &str = "bronze.keep_payload=all";
/// Bytes of the disk that a home on the embedded log has for itself.
const DISK: &str = "size=512m";

/// Where topics and lake are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gear {
    /// Both in the home.
    Embedded,
    /// Topics on a Kafka, the lake in the home; a second processor shares the work.
    Kafka,
    /// Topics in the home, the lake in a bucket.
    Store,
}

/// The servers that a gear needs.
#[derive(Default)]
pub struct Servers {
    pub broker: Option<Broker>,
    pub store: Option<Store>,
}

impl Servers {
    pub fn start(gear: Gear) -> Self {
        match gear {
            Gear::Embedded => Self::default(),
            Gear::Kafka => Self { broker: Some(Broker::start()), store: None },
            Gear::Store => Self { broker: None, store: Some(Store::start()) },
        }
    }

    /// Flags of a command that reaches them as they are.
    fn flags(&self) -> Vec<String> {
        let log = self.broker.iter().flat_map(|broker| ["--log".to_owned(), broker.url()]);
        log.chain(self.store.iter().flat_map(Store::flags)).chain(settings()).collect()
    }

    /// Flags of a command that reaches them through proxies.
    fn proxied_flags(&self) -> Vec<String> {
        let log = self.broker.iter().flat_map(|broker| ["--log".to_owned(), broker.proxied_url()]);
        log.chain(self.store.iter().flat_map(Store::proxied_flags)).chain(settings()).collect()
    }
}

/// What holds for every process on the same log and lake. Rows are looked for by what was sent, so all payloads are
/// kept.
fn settings() -> impl Iterator<Item = String> {
    let session = format!("kafka.session.timeout.ms={}", SESSION.as_millis());
    let lease = format!("lake.lease_expiry={}s", LEASE.as_secs());
    [KEEP_ALL.to_owned(), session, lease].into_iter().flat_map(|set| ["--set".to_owned(), set])
}

/// A home with its platform, `up`.
pub struct Platform {
    /// Of its round.
    name: String,
    pub home: Home,
    pub servers: Servers,
    pub http: String,
    /// In a round in which it jumps.
    pub clock: Option<Clock>,
    up: Option<Child>,
    second: Option<Child>,
    /// The home has a disk of its own.
    has_disk: bool,
}

impl Platform {
    /// With the metadata of another home. Nothing runs yet.
    pub fn new(name: String, servers: Servers, metadata: &Path, jumps: bool) -> Self {
        let home = Home::new();
        let has_disk = servers.broker.is_none() && servers.store.is_none() && mount(&home);
        let clock = jumps.then(|| Clock::new(home.file("").as_path()));
        fs::create_dir_all(home.path().join("metadata")).expect("made");
        for file in fs::read_dir(metadata).expect("metadata") {
            let file = file.expect("a file").path();
            fs::copy(&file, home.path().join("metadata").join(file.file_name().expect("a name"))).expect("copied");
        }
        let http = format!("127.0.0.1:{}", free_port());
        Self { name, home, servers, http, clock, up: None, second: None, has_disk }
    }

    pub fn has_disk(&self) -> bool {
        self.has_disk
    }

    /// Starts `up`, and returns when it is ready. It gives up where a Kafka is slow to answer; then it is started again, as
    /// whoever looks after services would.
    pub fn start(&mut self) {
        let sets = [
            "process.commit_interval=100ms",
            "process.topics_interval=50ms",
            "build.every=2s",
            "upkeep.every=3s",
            "sql.enabled=false",
        ];
        let mut args = self.servers.proxied_flags();
        args.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        args.extend(["up".to_owned(), "--http".to_owned(), self.http.clone()]);
        let began = Instant::now();
        loop {
            self.up = Some(self.spawn(&args, "up.log", self.clock.as_ref()));
            if self.becomes_ready(began) {
                return;
            }
        }
    }

    /// On a Kafka a second processor shares the work.
    pub fn start_second(&mut self) {
        let mut args = self.servers.flags();
        args.extend(["process", "--follow", "--commit-interval", "100ms"].map(str::to_owned));
        self.second = Some(self.spawn(&args, "second.log", None));
    }

    fn spawn(&self, args: &[String], log: &str, clock: Option<&Clock>) -> Child {
        let said = OpenOptions::new().create(true).append(true).open(self.home.file(log)).expect("a log file");
        let mut command = self.home.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        if let Some(clock) = clock {
            clock.give(&mut command);
        }
        command.stdout(Stdio::null()).stderr(said).spawn().expect("the program starts")
    }

    fn up(&mut self) -> &mut Child {
        self.up.as_mut().expect("it was started")
    }

    fn second(&mut self) -> &mut Child {
        self.second.as_mut().expect("a second processor")
    }

    /// A command on the same log and lake.
    pub fn ok(&self, args: &[&str]) -> String {
        self.home.ok(&[&texts(&self.servers.flags())[..], args].concat())
    }

    /// Rows of a query.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["query", "--json", sql])).expect("an array of rows")
    }

    /// As [`Home::gold`].
    pub fn gold(&self) -> String {
        self.home.gold_with(&texts(&self.servers.flags()))
    }

    pub fn wait_until_ready(&mut self) {
        assert!(self.becomes_ready(Instant::now()), "it has ended\n{}", self.said());
    }

    /// False when it has ended because no broker answered.
    fn becomes_ready(&mut self, began: Instant) -> bool {
        while !matches!(request(&self.http, "GET", "/readyz", b""), Ok(200)) {
            assert!(began.elapsed() < PATIENCE, "it is not ready\n{}", self.said());
            if let Some(status) = self.up().try_wait().expect("waited") {
                let said = self.said();
                let got_no_answer = said.lines().last().is_some_and(|line| line.contains("cannot connect to Kafka"));
                assert!(got_no_answer, "it has ended with {status}\n{said}");
                return false;
            }
            sleep(Duration::from_millis(50));
        }
        true
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.file("up.log")).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        end_now(self.up());
        self.clear_clock();
    }

    fn clear_clock(&self) {
        if let (Some(clock), Some(up)) = (&self.clock, &self.up) {
            clock.clear(up.id());
        }
    }

    pub fn kill_second(&mut self) {
        end_now(self.second());
    }

    pub fn signal(&mut self, signal: &str) {
        send_signal(self.up(), signal);
    }

    pub fn signal_second(&mut self, signal: &str) {
        send_signal(self.second(), signal);
    }

    /// Starts it again if it could not go on.
    pub fn revive(&mut self) {
        if self.up().try_wait().expect("waited").is_some() {
            self.start();
        }
    }

    /// Copies what the round has left, with what its processes have said, to where it stays.
    fn keep_evidence(&self) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash").join(&self.name);
        let _ = fs::remove_dir_all(&kept);
        let home = self.home.file("");
        let broker = self.servers.broker.iter().map(Broker::folder);
        let folders = broker.chain(self.servers.store.iter().map(Store::folder)).chain([&*home]);
        let contents = folders.map(|folder| folder.join("."));
        // Of a round that has failed: what can't be copied must not end the test before its servers are ended.
        let copied = fs::create_dir_all(&kept)
            .and_then(|()| Command::new("cp").arg("--archive").args(contents).arg(&kept).status());
        match copied {
            Ok(status) if status.success() => eprintln!("what it has left is kept in {}", kept.display()),
            failed => eprintln!("what it has left could not be copied to {}: {failed:?}", kept.display()),
        }
    }

    /// Ends all processes; they must be there still, and end well.
    pub fn end(&mut self) {
        for (child, log) in [(self.up.take(), "up.log"), (self.second.take(), "second.log")] {
            let Some(mut child) = child else { continue };
            let said = || fs::read_to_string(self.home.file(log)).unwrap_or_default();
            let ended = child.try_wait().expect("waited");
            assert!(ended.is_none(), "it has ended before it was told to, with {ended:?}\n{}", said());
            send_signal(&child, "-INT");
            let began = Instant::now();
            let status = loop {
                match child.try_wait().expect("waited") {
                    Some(status) => break status,
                    None if began.elapsed() > PATIENCE => {
                        let _ = (child.kill(), child.wait());
                        panic!("it does not stop\n{}", said());
                    }
                    None => sleep(Duration::from_millis(50)),
                }
            };
            assert!(status.success(), "it has ended with {status}\n{}", said());
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for child in [self.up.as_mut(), self.second.as_mut()].into_iter().flatten() {
            let _ = (child.kill(), child.wait());
        }
        self.clear_clock();
        if panicking() {
            self.keep_evidence();
        }
        if self.has_disk {
            let _ = Command::new("umount").arg("--lazy").arg(self.home.path()).status();
        }
    }
}

fn texts(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

fn end_now(child: &mut Child) {
    child.kill().expect("killed");
    child.wait().expect("waited");
}

fn send_signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// Gives the home a small disk of its own, where this user may: only root may mount one.
fn mount(home: &Home) -> bool {
    fs::create_dir_all(home.path()).expect("made");
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", DISK, "streamreel-crash"]).arg(home.path());
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
