//! The platform as real processes under load, hurt at random moments: what was acknowledged is in bronze, nothing is doubled, the
//! audit holds, and gold is what an undisturbed run gives. `cargo xtask crash` runs this; rounds can be repeated by their seeds.

mod common;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::broker::{Broker, free_port};
use common::{Home, assert_same, setting};

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
    /// SIGSTOP for longer than its session in the group; another processor takes over; the one that was stopped goes on, and must
    /// store nothing of what it had open.
    Zombie,
    /// SIGKILL of the broker, and a new start.
    KillBroker,
    /// The connections between the platform and the broker are cut, and nothing comes through for a while.
    CutBroker,
    /// SIGKILL of the second processor, and a new start.
    KillSecond,
    /// SIGSTOP of the second processor for longer than its session, and on.
    StopSecond,
    /// The disk of the home is full, and has room again.
    DiskFull,
}

const ON_FILES: &[Hurt] = &[Hurt::Kill, Hurt::Kill, Hurt::TornWrite, Hurt::Pause, Hurt::DiskFull];
const ON_KAFKA: &[Hurt] = &[
    Hurt::Kill,
    Hurt::Kill,
    Hurt::Pause,
    Hurt::Zombie,
    Hurt::KillBroker,
    Hurt::CutBroker,
    Hurt::KillSecond,
    Hurt::StopSecond,
];
const KEEP_ALL: &str = "bronze.keep_payload=all";
/// How long the group waits for a member that is silent.
const SESSION: Duration = Duration::from_secs(3);
/// Bytes of the disk that a home on the embedded log has for itself.
const DISK: &str = "size=512m";

/// A home with its platform, `up`.
struct Platform {
    home: Home,
    broker: Option<Broker>,
    http: String,
    up: Child,
    /// A second processor, on a Kafka.
    second: Option<Child>,
    /// The home has a disk of its own.
    has_disk: bool,
}

impl Platform {
    /// With the metadata of another home.
    fn start(broker: Option<Broker>, metadata: &Path) -> Self {
        let (home, http) = (Home::new(), format!("127.0.0.1:{}", free_port()));
        let has_disk = broker.is_none() && mount(&home);
        fs::create_dir_all(home.path().join("metadata")).expect("made");
        for file in fs::read_dir(metadata).expect("metadata") {
            let file = file.expect("a file").path();
            fs::copy(&file, home.path().join("metadata").join(file.file_name().expect("a name"))).expect("copied");
        }
        let up = Self::up(&home, broker.as_ref(), &http);
        let mut platform = Self { home, broker, http, up, second: None, has_disk };
        platform.wait_until_ready();
        platform.start_second();
        platform
    }

    fn up(home: &Home, broker: Option<&Broker>, http: &str) -> Child {
        let sets = [
            KEEP_ALL,
            "process.commit_interval=100ms",
            "process.topics_interval=50ms",
            "build.every=2s",
            "upkeep.every=3s",
            "sql.enabled=false",
        ];
        // Through the proxy, which can be cut.
        let mut args = broker.map_or_else(Vec::new, |broker| vec!["--log".to_owned(), broker.proxied_url()]);
        args.extend(["up".to_owned(), "--http".to_owned(), http.to_owned()]);
        args.extend(sets.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
        args.extend(["--set".to_owned(), format!("kafka.session.timeout.ms={}", SESSION.as_millis())]);
        let said = OpenOptions::new().create(true).append(true).open(home.file("up.log")).expect("a log file");
        let mut command = home.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.stdout(Stdio::null()).stderr(said).spawn().expect("the program starts")
    }

    /// On a Kafka a second processor shares the work.
    fn start_second(&mut self) {
        let Some(broker) = &self.broker else { return };
        let session = format!("kafka.session.timeout.ms={}", SESSION.as_millis());
        let args = [
            "--log",
            &broker.url(),
            "--set",
            KEEP_ALL,
            "--set",
            &session,
            "process",
            "--follow",
            "--commit-interval",
            "100ms",
        ];
        let said = OpenOptions::new().create(true).append(true).open(self.home.file("second.log")).expect("a log file");
        let mut command = self.home.command(&args);
        self.second = Some(command.stdout(Stdio::null()).stderr(said).spawn().expect("the program starts"));
    }

    fn second(&mut self) -> &mut Child {
        self.second.as_mut().expect("a second processor")
    }

    /// A command on the same log and lake.
    fn ok(&self, args: &[&str]) -> String {
        let mut all = log_of(self.broker.as_ref());
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        self.home.ok(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Processes what there is, as `up` does: rows are looked for by what was sent.
    fn process(&self) {
        self.ok(&["process", "--set", KEEP_ALL]);
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
        send_signal(&self.up, signal);
    }

    /// Starts it again if it could not go on.
    fn revive(&mut self) {
        if self.up.try_wait().expect("waited").is_some() {
            self.start_again();
        }
    }

    /// Ends both; they must end well.
    fn end(&mut self) {
        self.signal("-INT");
        if let Some(second) = &self.second {
            send_signal(second, "-INT");
        }
        let began = Instant::now();
        let said = self.said();
        for child in [Some(&mut self.up), self.second.as_mut()].into_iter().flatten() {
            while child.try_wait().expect("waited").is_none() {
                assert!(began.elapsed() < PATIENCE, "it does not stop\n{said}");
                sleep(Duration::from_millis(50));
            }
        }
        if let Some(second) = &mut self.second {
            let said = fs::read_to_string(self.home.file("second.log")).unwrap_or_default();
            assert!(second.wait().expect("waited").success(), "the second processor has failed\n{said}");
        }
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
                // Takes over what the one that is stopped has, once its session is over.
                self.process();
                self.signal("-CONT");
                self.wait_until_ready();
            }
            Hurt::CutBroker => {
                let proxy = self.broker.as_ref().expect("a broker").proxy();
                proxy.cut();
                sleep(Duration::from_millis(300 + dice.below(6000)));
                proxy.mend();
            }
            Hurt::KillSecond => {
                self.second().kill().expect("killed");
                self.second().wait().expect("waited");
                sleep(Duration::from_millis(dice.below(2000)));
                self.start_second();
            }
            Hurt::StopSecond => {
                send_signal(self.second(), "-STOP");
                sleep(SESSION + Duration::from_millis(1000 + dice.below(2000)));
                send_signal(self.second(), "-CONT");
            }
            Hurt::DiskFull => {
                let filler = self.home.path().join("filler");
                let mut file = fs::File::create(&filler).expect("a file");
                // Until nothing more goes in.
                while file.write_all(&[7; 64 << 10]).is_ok() {}
                sleep(Duration::from_millis(500 + dice.below(2500)));
                drop(file);
                fs::remove_file(filler).expect("removed");
                // A processor that could not write ends the program, like any failure that it can't mend.
                sleep(Duration::from_secs(2));
                self.revive();
            }
            Hurt::KillBroker => {
                let broker = self.broker.as_ref().expect("a broker");
                broker.kill();
                sleep(Duration::from_millis(dice.below(1500)));
                broker.start_again();
            }
        }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for child in [Some(&mut self.up), self.second.as_mut()].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.has_disk {
            let _ = Command::new("umount").arg("--lazy").arg(self.home.path()).status();
        }
    }
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

fn log_of(broker: Option<&Broker>) -> Vec<String> {
    broker.map_or_else(Vec::new, |broker| vec!["--log".to_owned(), broker.url()])
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
            let mut hurt = kinds[dice.below(kinds.len() as u64) as usize];
            if hurt == Hurt::DiskFull && !platform.has_disk {
                println!("    no disk can be mounted here, so none is filled");
                hurt = Hurt::Kill;
            }
            hurts.push(hurt);
            platform.hurt(hurt, &mut dice);
        }
        sender.join().expect("all is sent")
    });
    assert!(!hurts.is_empty(), "nothing was hurt while events came");
    platform.end();
    platform.process();
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
