//! What the collector takes: requests of 500 events over sockets, answered when they are on the disk.
//!
//! For events a second on one core, run it with `taskset -c 0`: server, clients and the log then share it.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streamreel_lake::Lake;
use streamreel_process::names;
use streamreel_serve::{Names, Server, Settings, Sources, collector};
use streamreel_topic::EmbeddedLog;
use tokio_util::sync::CancellationToken;

const EVENTS: usize = 500;
const CLIENTS: usize = 8;
const NAMES: Names = Names {
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

/// A clock that only ever ticks: the bench needs no time of day.
fn tick_us() -> i64 {
    static NOW_US: AtomicI64 = AtomicI64::new(1_768_471_200_000_000);
    NOW_US.fetch_add(1_000, Ordering::Relaxed)
}

/// Events of about 240 bytes of some thousand viewers.
fn events() -> Vec<String> {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let event = |i: usize| {
        let kind = ["play", "pause", "heartbeat", "seek"][next(4) as usize];
        format!(
            "{{\"user_id\":\"user-{:05}\",\"video_id\":\"video-{:04}\",\"session_id\":\"{:08x}\",\"event_type\":\"{kind}\",\
             \"timestamp\":\"2026-01-15T10:{:02}:{:02}.{:03}Z\",\"position_s\":{}.{:03},\"region\":\"DE\",\"device\":\"tv\",\
             \"sequence\":{i},\"event_id\":\"{:016x}\"}}",
            next(5_000),
            next(300),
            next(1 << 31),
            i / 60 % 60,
            i % 60,
            i % 1000,
            next(3_600),
            next(1_000),
            next(1 << 31) << 31 | next(1 << 31),
        )
    };
    (0..EVENTS).map(event).collect()
}

fn request(content_type: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n{encoding}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends a request so many times and reads each answer.
fn send(addr: SocketAddr, request: &[u8], times: u64) {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    stream.set_nodelay(true).expect("a socket has options");
    let mut answer = [0; 4096];
    for _ in 0..times {
        stream.write_all(request).expect("sent");
        let read = stream.read(&mut answer).expect("answered");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
}

/// How long the clients take for `requests` requests between them.
fn collect(addr: SocketAddr, request: &[u8], requests: u64) -> Duration {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS as u64 {
            let times = requests / CLIENTS as u64 + u64::from(client < requests % CLIENTS as u64);
            scope.spawn(move || send(addr, request, times));
        }
    });
    began.elapsed()
}

fn sockets(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let log = EmbeddedLog::open(folder.path().join("log")).expect("a log");
    let lake = Lake::open(folder.path().join("lake")).expect("a lake");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)), tick_us);
    settings.collector = Some(collector::Settings::default());
    let sources = Sources { lake, log: Some(Arc::new(log)), names: NAMES };
    let server = runtime.block_on(Server::bind(sources, settings)).expect("a server");
    let (addr, stop) = (server.addr(), CancellationToken::new());
    let running = runtime.spawn(server.run(stop.clone().cancelled_owned()));
    let events = events();
    let (array, lines) = (format!("[{}]", events.join(",")), events.join("\n"));
    println!("{} bytes an event", lines.len() / EVENTS);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(array.as_bytes()).expect("compressed");
    let zipped = encoder.finish().expect("compressed");
    let mut group = criterion.benchmark_group("requests of 500 events, 8 clients");
    group.throughput(Throughput::Elements(EVENTS as u64)).measurement_time(Duration::from_secs(8)).sample_size(10);
    let requests = [
        ("array", request("application/json", "", array.as_bytes())),
        ("lines", request("application/x-ndjson", "", lines.as_bytes())),
        ("array with gzip", request("application/json", "content-encoding: gzip\r\n", &zipped)),
    ];
    for (name, request) in &requests {
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|requests| collect(addr, black_box(request), requests))
        });
    }
    group.finish();
    stop.cancel();
    runtime.block_on(running).expect("the server ends");
}

criterion_group!(benches, sockets);
criterion_main!(benches);
