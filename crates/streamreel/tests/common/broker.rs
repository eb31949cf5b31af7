//! A real Kafka of its own for a test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::proxy::Proxy;
use super::{repository, text};

/// A broker that ends with the value.
pub struct Broker {
    folder: TempDir,
    port: u16,
    /// Port of a listener of its own for who comes through the proxy, and the proxy's.
    proxied: (u16, u16),
    proxy: Proxy,
    /// Port of a listener with TLS and a login, if there is one.
    secure: Option<u16>,
}

impl Broker {
    /// Of the user `streamreel` of a secure one.
    pub const PASSWORD: &str = "correct-horse";

    /// An empty one.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// One that can also be reached by TLS with a login.
    pub fn secure() -> Self {
        Self::start_with(Some(free_port()))
    }

    fn start_with(secure: Option<u16>) -> Self {
        let (port, behind_proxy, listener) = (free_port(), free_port(), listen());
        let proxied = (behind_proxy, listener.local_addr().expect("it listens").port());
        let proxy = Proxy::start(listener, behind_proxy);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = Self { folder, port, proxied, proxy, secure };
        broker.start_again();
        broker
    }

    /// Where it is, as `--log` takes it.
    pub fn url(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port)
    }

    /// The same with TLS and a login.
    pub fn secure_url(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.secure.expect("a secure broker"))
    }

    /// File of the certificate of the authority that has signed the broker's.
    pub fn authority(&self) -> String {
        format!("{}/tls/ca.pem", self.data())
    }

    /// The same through a proxy.
    pub fn proxied_url(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.proxied.1)
    }

    /// The proxy.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.script(&["kill", &self.data()]);
    }

    /// After a kill, at the same place.
    pub fn start_again(&self) {
        self.script(&["start", &self.data(), &self.port.to_string()]);
    }

    /// What it has stored.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> String {
        self.folder.path().join("kafka").to_string_lossy().into_owned()
    }

    fn script(&self, args: &[&str]) {
        let mut command = Command::new(repository("kafka/broker.sh"));
        command.env("STREAMREEL_KAFKA_PROXY", format!("{}:{}", self.proxied.0, self.proxied.1));
        if let Some(port) = self.secure {
            command.env("STREAMREEL_KAFKA_SECURE", port.to_string()).env("STREAMREEL_KAFKA_PASSWORD", Self::PASSWORD);
        }
        let ran = command.args(args).stdout(Stdio::null()).output();
        let ran = ran.expect("the script runs");
        assert!(ran.status.success(), "broker.sh {args:?}: {}", text(&ran.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port with a free one after it (a broker's controller takes that), below those that the system gives to clients, so that it is
/// still free when a program is started again.
pub fn free_port() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    ports().find(|port| is_free(*port) && is_free(port + 1)).expect("two free ports")
}

/// Listens at such a port. To bind one that was tried and let go can fail: a process that another thread is just starting holds what
/// this one has open, until it has become its program.
pub fn listen() -> TcpListener {
    ports().find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).expect("a free port")
}

/// Every other port of a stretch of this process, each once.
fn ports() -> impl Iterator<Item = u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 5_000) as u16 * 2;
    std::iter::repeat_with(move || first + TAKEN.fetch_add(2, Ordering::Relaxed)).take(500)
}
