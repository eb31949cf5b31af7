//! A real S3-compatible server of its own for a test, behind a proxy that does what networks and stores under load do.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::broker::{free_port, listen};
use super::http::message;
use super::{repository, text};

const BUCKET: &str = "lake";
/// How long the proxy holds a request back when it is slow: longer than a lease is renewed within, shorter than a
/// client waits.
const SLOW: Duration = Duration::from_millis(1500);

/// What becomes of the requests that come through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// They end with their connections, wherever they are.
    Cut,
    /// One in three is refused with 500 or 503, and the server does not get it.
    Refuse,
    /// The server does what one in three wants, and the answer is 500 all the same.
    Deny,
    /// The server does what one in three wants, and its connection ends without an answer.
    LoseAnswer,
    /// Each takes [`SLOW`] longer.
    Slow,
}

/// A store that ends with the value.
pub struct Store {
    folder: TempDir,
    port: u16,
    proxy: u16,
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    harm: Mutex<Harm>,
    /// Requests so far, which says whom a share falls on.
    requests: AtomicU64,
    /// Requests that were harmed.
    harmed: AtomicU64,
    /// By number, as long as they last.
    open: Mutex<HashMap<u64, [TcpStream; 2]>>,
    connections: AtomicU64,
}

impl Store {
    /// One with an empty bucket.
    pub fn start() -> Self {
        let (port, listener) = (free_port(), listen());
        let proxy = listener.local_addr().expect("it listens").port();
        let shared = Arc::new(Shared {
            to: port,
            harm: Mutex::new(Harm::None),
            requests: AtomicU64::new(0),
            harmed: AtomicU64::new(0),
            open: Mutex::default(),
            connections: AtomicU64::new(0),
        });
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for client in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.serve(client));
                }
            }
        });
        let store = Self { folder: tempfile::tempdir().expect("a temporary folder"), port, proxy, shared };
        store.start_again();
        store
    }

    /// Flags that put a lake there.
    pub fn flags(&self) -> Vec<String> {
        self.flags_by(self.port)
    }

    /// The same through the proxy.
    pub fn proxied_flags(&self) -> Vec<String> {
        self.flags_by(self.proxy)
    }

    fn flags_by(&self, port: u16) -> Vec<String> {
        let mut flags = vec!["--lake".to_owned(), format!("s3://{BUCKET}/crash")];
        let said = self.script(&["env", &self.data()]);
        let variable = |name: &str| {
            let value = said.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            value.expect("the server says how it is reached").to_owned()
        };
        for (setting, value) in [
            ("endpoint", format!("http://127.0.0.1:{port}")),
            ("allow_http", "true".to_owned()),
            ("region", variable("AWS_REGION")),
            ("access_key_id", variable("AWS_ACCESS_KEY_ID")),
            ("secret_access_key", variable("AWS_SECRET_ACCESS_KEY")),
        ] {
            flags.extend(["--set".to_owned(), format!("s3.{setting}={value}")]);
        }
        flags
    }

    /// From now on; returns how many requests the last harm fell on.
    pub fn harm(&self, harm: Harm) -> u64 {
        let mut now = self.shared.harm.lock().expect("no panic");
        *now = harm;
        if harm == Harm::Cut {
            for stream in self.shared.open.lock().expect("no panic").drain().flat_map(|(_, both)| both) {
                let _ = stream.shutdown(Shutdown::Both);
                self.shared.harmed.fetch_add(1, Ordering::SeqCst);
            }
        }
        self.shared.harmed.swap(0, Ordering::SeqCst)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.script(&["kill", &self.data()]);
    }

    /// After a kill, at the same place.
    pub fn start_again(&self) {
        self.script(&["start", &self.data(), &self.port.to_string(), BUCKET]);
    }

    /// What it has stored.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> String {
        self.folder.path().join("s3").to_string_lossy().into_owned()
    }

    fn script(&self, args: &[&str]) -> String {
        let ran = Command::new(repository("s3/server.sh")).args(args).stdin(Stdio::null()).output();
        let ran = ran.expect("the script runs");
        assert!(ran.status.success(), "server.sh {args:?}: {}", text(&ran.stderr));
        text(&ran.stdout)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    /// Requests of a connection, one after the other, until it ends. What ends early ends both of its connections.
    fn serve(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(("127.0.0.1", self.to)).ok()?;
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        {
            let (harm, mut open) = (self.harm.lock().ok()?, self.open.lock().ok()?);
            if *harm == Harm::Cut {
                self.harmed.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            open.insert(number, [client.try_clone().ok()?, server.try_clone().ok()?]);
        }
        let served = self.pass(&client, &server);
        self.open.lock().ok()?.remove(&number);
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
        served
    }

    fn pass(&self, mut to_client: &TcpStream, mut to_server: &TcpStream) -> Option<()> {
        let (mut from_client, mut from_server) = (BufReader::new(to_client), BufReader::new(to_server));
        loop {
            let request = message(&mut from_client, false)?;
            let count = self.requests.fetch_add(1, Ordering::SeqCst);
            let harm = *self.harm.lock().ok()?;
            let is_chosen = count.is_multiple_of(3);
            let refuses = is_chosen && harm == Harm::Refuse;
            let loses = is_chosen && matches!(harm, Harm::Deny | Harm::LoseAnswer);
            if refuses || loses || harm == Harm::Slow {
                self.harmed.fetch_add(1, Ordering::SeqCst);
            }
            if harm == Harm::Slow {
                thread::sleep(SLOW);
            }
            let is_head = request.starts_with(b"HEAD ");
            if refuses {
                to_client.write_all(&refusal(count, is_head)).ok()?;
                continue;
            }
            to_server.write_all(&request).ok()?;
            let answer = message(&mut from_server, is_head)?;
            match harm {
                Harm::Deny if loses => to_client.write_all(&refusal(0, is_head)).ok()?,
                Harm::LoseAnswer if loses => return None,
                _ => to_client.write_all(&answer).ok()?,
            }
        }
    }
}

/// An answer of a store that has failed, or that is overloaded.
fn refusal(count: u64, is_head: bool) -> Vec<u8> {
    let (status, code) = if count.is_multiple_of(2) {
        ("500 Internal Server Error", "InternalError")
    } else {
        ("503 Slow Down", "SlowDown")
    };
    let body = if is_head { String::new() } else { format!("<Error><Code>{code}</Code></Error>") };
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
