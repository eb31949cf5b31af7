//! The platform as real processes under load, hurt at random moments: what was acknowledged is in bronze, nothing is doubled, the
//! audit holds, and gold is what an undisturbed run gives. `cargo xtask crash` runs this; rounds can be repeated by their seeds.

mod common;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Home, assert_same, repository, setting, text};

/// Events of a round.
const EVENTS: &str = "20000";
/// Lines of a request.
const BATCH: usize = 100;
/// Between two requests, so that the load lasts as long as the hurts.
const BREATH: Duration = Duration::from_millis(25);
/// Hurts of a round.
const HURTS: usize = 4;
/// A request that is not answered by then may or may not have been stored.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(240);

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*, which is enough to choose moments by.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }
}

/// What can be done to a running platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hurt {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGKILL, then bytes at the end of the log's write-ahead file, as a torn write leaves them; and a new start.
    TornWrite,
    /// SIGSTOP for a while, and on.
    Pause,
    /// SIGSTOP; another processor takes over; the one that was stopped goes on and must notice.
    Zombie,
    /// SIGKILL of the broker, and a new start.
    KillBroker,
}

const ON_FILES: &[Hurt] = &[Hurt::Kill, Hurt::Kill, Hurt::TornWrite, Hurt::Pause];
const ON_KAFKA: &[Hurt] = &[Hurt::Kill, Hurt::Kill, Hurt::Pause, Hurt::Zombie, Hurt::KillBroker];

/// A broker of its own for a round.
struct Broker {
    folder: tempfile::TempDir,
    port: String,
}

impl Broker {
    fn start() -> Self {
        let broker = Self { folder: tempfile::tempdir().expect("a temporary folder"), port: free_port().to_string() };
        broker.script(&["start", &broker.data(), &broker.port]);
        broker
    }

    fn data(&self) -> String {
        self.folder.path().join("kafka").to_string_lossy().into_owned()
    }

    fn script(&self, args: &[&str]) {
        let ran = Command::new(repository("kafka/broker.sh")).args(args).stdout(Stdio::null()).output();
        let ran = ran.expect("the script runs");
        assert!(ran.status.success(), "broker.sh {args:?}: {}", text(&ran.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script(&["kill", &self.data()]);
    }
}

/// A port with a free one after it (a broker's controller takes that), below those that the system gives to clients, so that it is
/// still free when a program is started again.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 5_000) as u16 * 2;
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = std::iter::repeat_with(|| first + TAKEN.fetch_add(2, Ordering::Relaxed)).take(500);
    ports.find(|port| is_free(*port) && is_free(port + 1)).expect("two free ports")
}

/// A home with its platform, `up`.
struct Platform {
    home: Home,
    broker: Option<Broker>,
    http: String,
    up: Child,
}

impl Platform {
    /// With the metadata of another home.
    fn start(broker: Option<Broker>, metadata: &Path) -> Self {
        let (home, http) = (Home::new(), format!("127.0.0.1:{}", free_port()));
        fs::create_dir_all(home.path().join("metadata")).expect("made");
        for file in fs::read_dir(metadata).expect("metadata") {
            let file = file.expect("a file").path();
            fs::copy(&file, home.path().join("metadata").join(file.file_name().expect("a name"))).expect("copied");
        }
        let up = Self::up(&home, broker.as_ref(), &http);
        let platform = Self { home, broker, http, up };
        platform.wait_until_ready();
        platform
    }

    fn up(home: &Home, broker: Option<&Broker>, http: &str) -> Child {
        let sets = [
            "bronze.keep_payload=all",
            "process.commit_interval=100ms",
            "process.topics_interval=50ms",
            "build.every=2s",
            "upkeep.every=3s",
            "sql.enabled=false",
        ];
        let mut args = log_of(broker);
        args.extend(["up".to_owned(), "--http".to_owned(), http.to_owned()]);
        args.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        let said = OpenOptions::new().create(true).append(true).open(home.file("up.log")).expect("a log file");
        let mut command = home.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.stdout(Stdio::null()).stderr(said).spawn().expect("the program starts")
    }

    /// A command on the same log and lake.
    fn ok(&self, args: &[&str]) -> String {
        let mut all = log_of(self.broker.as_ref());
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        self.home.ok(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn wait_until_ready(&self) {
        let began = Instant::now();
        while !matches!(request(&self.http, "GET", "/readyz", b""), Ok(200)) {
            assert!(began.elapsed() < PATIENCE, "it is not ready\n{}", self.said());
            sleep(Duration::from_millis(100));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.file("up.log")).unwrap_or_default()
    }

    fn kill(&mut self) {
        self.up.kill().expect("killed");
        self.up.wait().expect("waited");
    }

    fn start_again(&mut self) {
        self.up = Self::up(&self.home, self.broker.as_ref(), &self.http);
        self.wait_until_ready();
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.up.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    fn hurt(&mut self, hurt: Hurt, dice: &mut Dice) {
        match hurt {
            Hurt::Kill => {
                self.kill();
                self.start_again();
            }
            Hurt::TornWrite => {
                self.kill();
                let wal = self.home.path().join("log/topics.sqlite-wal");
                let mut wal = OpenOptions::new().append(true).open(wal).expect("the write-ahead file");
                let torn: Vec<u8> = (0..1 + dice.below(5000)).map(|_| dice.below(256) as u8).collect();
                wal.write_all(&torn).expect("written");
                drop(wal);
                self.start_again();
            }
            Hurt::Pause => {
                self.signal("-STOP");
                sleep(Duration::from_millis(500 + dice.below(2500)));
                self.signal("-CONT");
            }
            Hurt::Zombie => {
                self.signal("-STOP");
                // Into a place of its own: the lake's lease is still held by the one that is stopped.
                let other = Home::new();
                let log = log_of(self.broker.as_ref());
                let log: Vec<&str> = log.iter().map(String::as_str).chain(["process"]).collect();
                other.ok(&log);
                self.signal("-CONT");
                let began = Instant::now();
                while self.up.try_wait().expect("waited").is_none() {
                    assert!(began.elapsed() < PATIENCE, "a processor that was replaced goes on\n{}", self.said());
                    sleep(Duration::from_millis(50));
                }
                assert!(self.said().contains("another processor has taken over"), "{}", self.said());
                self.start_again();
            }
            Hurt::KillBroker => {
                let broker = self.broker.as_ref().expect("a broker");
                broker.script(&["kill", &broker.data()]);
                sleep(Duration::from_millis(dice.below(1500)));
                broker.script(&["start", &broker.data(), &broker.port]);
            }
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.up.kill();
        let _ = self.up.wait();
    }
}

fn log_of(broker: Option<&Broker>) -> Vec<String> {
    broker.map_or_else(Vec::new, |broker| vec!["--log".to_owned(), format!("kafka://127.0.0.1:{}", broker.port)])
}

/// A request on a connection of its own: the status of the answer.
fn request(addr: &str, method: &str, path: &str, body: &[u8]) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no status line"))
}

/// How often a line was sent, by what is known of it.
#[derive(Default, Clone, Copy)]
struct Sent {
    acknowledged: i64,
    unknown: i64,
}

/// Sends all lines, each batch until it is acknowledged.
fn send<'a>(addr: &str, lines: &[&'a str]) -> HashMap<&'a str, Sent> {
    let mut sent: HashMap<&str, Sent> = HashMap::new();
    let began = Instant::now();
    for batch in lines.chunks(BATCH) {
        // A body that begins with no object is refused as a whole.
        let mut batch = batch.to_vec();
        batch.sort_by_key(|line| !line.starts_with('{'));
        loop {
            assert!(began.elapsed() < PATIENCE * 2, "the collector takes no events");
            match request(addr, "POST", "/v1/events", batch.join("\n").as_bytes()) {
                Ok(200) => break,
                Ok(status @ (400 | 413)) => panic!("the collector refuses a batch with {status}"),
                // Whatever else was said: it may have been stored.
                _ => batch.iter().for_each(|line| sent.entry(line).or_default().unknown += 1),
            }
            sleep(Duration::from_millis(100));
        }
        batch.iter().for_each(|line| sent.entry(line).or_default().acknowledged += 1);
        sleep(BREATH);
    }
    sent
}

/// The lines of a simulated log that come back from bronze as they are.
fn lines_of(file: &PathBuf) -> String {
    let bytes = fs::read(file).expect("the simulated events");
    let fits =
        |line: &&[u8]| !line.trim_ascii().is_empty() && line.len() <= 32 << 10 && std::str::from_utf8(line).is_ok();
    let kept: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(fits).collect();
    String::from_utf8(kept.join(&b"\n"[..])).expect("checked above")
}

/// One round; its evidence is left where the failure says.
fn round(seed: u64, on_kafka: bool) -> Vec<Hurt> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let undisturbed = Home::new();
    let file = undisturbed.file("events.ndjson");
    let (events, seed) = (setting("EVENTS", EVENTS), seed.to_string());
    let to = file.to_string_lossy().into_owned();
    undisturbed.ok(&["simulate", "--events", &events, "--dirt", "0.1", "--seed", &seed, "--to", &to]);
    let log = lines_of(&file);
    fs::write(&file, &log).expect("written");
    undisturbed.ok(&["ingest", &to]);
    undisturbed.ok(&["process"]);
    undisturbed.ok(&["build"]);

    let mut platform = Platform::start(on_kafka.then(Broker::start), &undisturbed.path().join("metadata"));
    let lines: Vec<&str> = log.lines().collect();
    let (http, is_sent) = (platform.http.clone(), AtomicBool::new(false));
    let mut hurts = Vec::new();
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sent = send(&http, &lines);
            is_sent.store(true, Ordering::Relaxed);
            sent
        });
        for _ in 0..HURTS {
            sleep(Duration::from_millis(200 + dice.below(1500)));
            if is_sent.load(Ordering::Relaxed) {
                break;
            }
            let kinds = if on_kafka { ON_KAFKA } else { ON_FILES };
            let hurt = kinds[dice.below(kinds.len() as u64) as usize];
            hurts.push(hurt);
            platform.hurt(hurt, &mut dice);
        }
        sender.join().expect("all is sent")
    });
    assert!(!hurts.is_empty(), "nothing was hurt while events came");
    platform.signal("-INT");
    let began = Instant::now();
    while platform.up.try_wait().expect("waited").is_none() {
        assert!(began.elapsed() < PATIENCE, "it does not stop\n{}", platform.said());
        sleep(Duration::from_millis(50));
    }
    platform.ok(&["process"]);
    platform.ok(&["build"]);
    check(&platform, &sent);
    assert_same(&undisturbed.gold(), &platform.home.gold(), "gold after the round");
    hurts
}

fn check(platform: &Platform, sent: &HashMap<&str, Sent>) {
    let audit = platform.ok(&["audit", "--json"]);
    let audit: serde_json::Value = serde_json::from_str(&audit).expect("JSON");
    assert_eq!(audit["holds"], true, "{audit}");
    let rows = platform.home.query(
        "select arrow_cast(payload, 'Utf8') as line, count(*) as n, count(*) filter (where outcome = 'clean') as clean \
         from bronze.events group by payload",
    );
    let found: HashMap<&str, (i64, i64)> = rows
        .iter()
        .filter_map(|row| Some((row["line"].as_str()?, (row["n"].as_i64()?, row["clean"].as_i64()?))))
        .collect();
    for (line, sent) in sent {
        let (rows, clean) = found.get(line).copied().unwrap_or_default();
        let most = sent.acknowledged + sent.unknown;
        assert!(
            (sent.acknowledged..=most).contains(&rows),
            "acknowledged {} times, perhaps stored {} times more, in bronze {rows} times: {line}",
            sent.acknowledged,
            sent.unknown
        );
        assert!(clean <= 1, "{clean} times a clean event: {line}");
    }
    assert_eq!(found.keys().find(|line| !sent.contains_key(**line)), None, "bronze has what nobody sent");
}

fn rounds(on_kafka: bool) {
    let rounds: u64 = setting("ROUNDS", "3").parse().expect("a number");
    let seed: u64 = setting("SEED", "1").parse().expect("a number");
    let gear = if on_kafka { "kafka" } else { "embedded" };
    for seed in seed..seed + rounds {
        let began = Instant::now();
        println!("round with seed {seed} on {gear} (again: cargo xtask crash {gear} --rounds 1 --seed {seed})");
        let hurts = round(seed, on_kafka);
        println!("    {hurts:?}: holds, {:.0} s", began.elapsed().as_secs_f64());
    }
}

#[test]
fn embedded() {
    rounds(false);
}

#[test]
fn kafka() {
    rounds(true);
}
