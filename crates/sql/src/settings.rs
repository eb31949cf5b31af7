//! What the endpoint may use, and whom it lets in.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Someone who may log in.
#[derive(Clone)]
pub struct User {
    /// Name, as the client gives it.
    pub name: String,
    /// Password. It is never sent: the client proves that it knows it (SCRAM-SHA-256).
    pub password: String,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Certificate and key that connections are encrypted with, both PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate, its own first and then those that it was signed with.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// Limits and access of a [`crate::Server`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen. Beyond loopback, `users` and `tls` are required.
    pub addr: SocketAddr,
    /// Who may log in; with none, anybody who reaches `addr`, under any name.
    pub users: Vec<User>,
    /// Encryption; `None`: clients that ask for it are told that there is none.
    pub tls: Option<Tls>,
    /// A statement that runs longer is stopped, unless its session sets another limit. `None`: no limit.
    pub statement_timeout: Option<Duration>,
    /// Memory that one query may use before it spills to the disk or fails, in bytes.
    pub query_memory_bytes: usize,
    /// Memory that all queries together may use, in bytes.
    pub memory_bytes: usize,
    /// Disk that all queries together may spill to, in bytes.
    pub spill_bytes: u64,
    /// Sessions at once.
    pub max_connections: usize,
    /// A connection that has not logged in after this is closed.
    pub authentication_timeout: Duration,
    /// A client that takes nothing for this long while rows wait for it is disconnected.
    pub write_timeout: Duration,
    /// A session that is idle for this long inside a transaction is ended. `None`: no limit.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// Threads that queries compute on; `None`: the number of cores.
    pub threads: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 5439)),
            users: Vec::new(),
            tls: None,
            statement_timeout: Some(Duration::from_secs(300)),
            query_memory_bytes: 256 << 20,
            memory_bytes: 512 << 20,
            spill_bytes: 10 << 30,
            max_connections: 100,
            authentication_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            idle_in_transaction_timeout: Some(Duration::from_secs(600)),
            threads: None,
        }
    }
}

impl Settings {
    /// Threads that queries run on. Planning a query can't be interrupted: while some plan, there are others that go on.
    pub(crate) fn query_threads(&self) -> usize {
        /// Beyond those that can compute at once.
        const SPARE: usize = 2;
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        self.threads.unwrap_or_else(cores).max(1) + SPARE
    }
}
