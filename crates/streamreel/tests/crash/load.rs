//! Players that send events to the collector until they are acknowledged.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::platform::PATIENCE;

/// Lines of a request.
const BATCH: usize = 50;
/// Between two requests, so that the load lasts about as long as the hurts.
const BREATH: Duration = Duration::from_millis(25);
/// A request that is not answered by then may or may not have been stored.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How often a line was sent, by what is known of it.
#[derive(Default, Clone, Copy)]
pub struct Sent {
    pub acknowledged: i64,
    pub unknown: i64,
}

/// What is sent, as far as it is allowed: each hurt has its share, so that it meets events on their way.
#[derive(Default)]
pub struct Load {
    allowed: AtomicUsize,
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Nothing more is sent.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Batches that are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// So many of the batches may be sent, if not more already.
    pub fn allow_up_to(&self, batches: usize) {
        self.allowed.fetch_max(batches, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Sends all lines, each batch until it is acknowledged.
    pub fn send<'a>(&self, addr: &str, lines: &[&'a str]) -> HashMap<&'a str, Sent> {
        let mut sent: HashMap<&str, Sent> = HashMap::new();
        for batch in lines.chunks(BATCH) {
            while self.acknowledged() >= self.allowed.load(Ordering::SeqCst) && !self.is_over() {
                sleep(Duration::from_millis(5));
            }
            // A body that begins with no object is refused as a whole.
            let mut batch = batch.to_vec();
            batch.sort_by_key(|line| !line.starts_with('{'));
            let began = Instant::now();
            loop {
                if self.is_over() {
                    return sent;
                }
                assert!(began.elapsed() < PATIENCE, "the collector takes no events");
                match request(addr, "POST", "/v1/events", batch.join("\n").as_bytes()) {
                    Ok(200) => break,
                    Ok(status @ (400 | 413)) => panic!("the collector refuses a batch with {status}"),
                    // Whatever else was said: it may have been stored.
                    _ => batch.iter().for_each(|line| sent.entry(line).or_default().unknown += 1),
                }
                sleep(Duration::from_millis(100));
            }
            batch.iter().for_each(|line| sent.entry(line).or_default().acknowledged += 1);
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            sleep(BREATH);
        }
        sent
    }
}

/// How many batches the lines are.
pub fn batches(lines: &[&str]) -> usize {
    lines.len().div_ceil(BATCH)
}

/// A request on a connection of its own: the status of the answer.
pub fn request(addr: &str, method: &str, path: &str, body: &[u8]) -> std::io::Result<u16> {
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
