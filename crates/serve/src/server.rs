//! The server: what it is made of, how it starts and how it ends.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware;
use futures::FutureExt;
use futures::future::BoxFuture;
use streamreel_lake::Lake;
use streamreel_topic::Log;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::api::{self, Api};
use crate::collector::{self, Collector};
use crate::connections::{self, Limits};
use crate::health::{self, Health};
use crate::hosts::{self, Hosts};
use crate::live::{self, Facts, Live};
use crate::observe;
use crate::page;
use crate::problem;

/// What topics, headers and reasons are called.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The topics, and the processor's consumer group.
    pub topics: streamreel_audit::Names<'static>,
    /// Header of a record that was cut to the size limit on its way in; its value is the length before.
    pub cut_header: &'static str,
    /// Header of a dead letter: why it is one.
    pub reason_header: &'static str,
    /// The reason of a copy.
    pub duplicate_reason: &'static str,
}

/// What a server shows.
pub struct Sources {
    /// The lake.
    pub lake: Lake,
    /// The log, where there is one. A collector writes to it; everything else only reads.
    pub log: Option<Arc<dyn Log>>,
    /// How things in it are called.
    pub names: Names,
}

/// How a server works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Whether it may listen where other machines can reach it: nobody is asked for a password.
    pub allow_remote: bool,
    /// Names that it goes by besides addresses and `localhost`, without port: those of a reverse proxy in front. Where only
    /// this machine can reach it, requests by other names are refused; elsewhere if there are any of these.
    pub hosts: Vec<String>,
    /// Connections at a time.
    pub max_connections: usize,
    /// How long the headers of a request may take, and the wait for the next request.
    pub header_timeout: Duration,
    /// How long a connection may stand still while nothing is worked on for it.
    pub still_timeout: Duration,
    /// With these, events are taken.
    pub collector: Option<collector::Settings>,
    /// What the API may use.
    pub api: api::Settings,
    /// Microseconds since 1970, UTC.
    pub clock: fn() -> i64,
}

impl Settings {
    /// A server at this address that takes no events.
    pub fn new(addr: SocketAddr, clock: fn() -> i64) -> Self {
        Self {
            addr,
            allow_remote: false,
            hosts: Vec::new(),
            max_connections: 512,
            header_timeout: Duration::from_secs(20),
            still_timeout: Duration::from_secs(60),
            collector: None,
            api: api::Settings { clock, ..api::Settings::default() },
            clock,
        }
    }
}

/// Why a server can't start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Other machines could reach it.
    #[error(
        "{addr} can be reached from other machines, and the page, the API and the metrics ask nobody for a password: put a \
         proxy that does in front of a loopback address, or set serve.allow_remote = true if you trust this network"
    )]
    Remote {
        /// As given.
        addr: SocketAddr,
    },
    /// A name that no request can be by.
    #[error(
        "{host:?} in serve.hosts is no name of a host: give it without scheme, port and path, as stats.example.com (addresses and \
         localhost need not be named)"
    )]
    Host {
        /// As given.
        host: String,
    },
    /// Somebody listens there already.
    #[error("{addr} is in use by another program (perhaps another `streamreel`): end that, or name another address with --http, as --http 127.0.0.1:{}", next_port(.addr))]
    InUse {
        /// As given.
        addr: SocketAddr,
    },
    /// The system refuses the address.
    #[error("can't listen on {addr}: {source}; name another address with --http")]
    Listen {
        /// As given.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The collector can't start.
    #[error(transparent)]
    Collector(#[from] collector::StartError),
    /// A collector without a log.
    #[error("there is no log that a collector could write to")]
    NoLog,
    /// No thread to be had.
    #[error("a thread of the server can't be started: {0}")]
    Thread(std::io::Error),
    /// The log can't be read.
    #[error("the live numbers can't read the log: {0}")]
    Log(#[from] streamreel_topic::Error),
}

fn next_port(addr: &SocketAddr) -> u16 {
    addr.port().checked_add(1).unwrap_or(0)
}

/// A server that listens and is about to answer.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    router: Router,
    limits: Limits,
    threads: Vec<JoinHandle<()>>,
    cancelled: CancellationToken,
    /// Ends what was started when the server is dropped before it ran.
    _cancel: DropGuard,
}

impl Server {
    /// Takes the address and starts everything but the answering.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is left running then.
    ///
    /// Boxed, so that the compiler makes the code of what it starts here, and not anew in each program that runs a server.
    #[inline(never)]
    pub fn bind(sources: Sources, settings: Settings) -> BoxFuture<'static, Result<Self, ServeError>> {
        Self::open(sources, settings).boxed()
    }

    async fn open(sources: Sources, settings: Settings) -> Result<Self, ServeError> {
        let hosts = Hosts::new(settings.addr, &settings.hosts)?;
        let listener = listen(&settings).await?;
        let addr = listener.local_addr().map_err(|source| ServeError::Listen { addr: settings.addr, source })?;
        let limits = Limits {
            connections: settings.max_connections,
            header: settings.header_timeout,
            still: settings.still_timeout,
        };
        observe::metrics();
        let cancelled = CancellationToken::new();
        let cancel = cancelled.clone().drop_guard();
        let token = cancelled.clone();
        let api = Api::open(sources.lake.clone(), sources.log.clone(), sources.names.topics, settings.api.clone());
        let api = api.await.map_err(ServeError::Thread)?;
        // The log blocks, if only for a moment.
        let started = tokio::task::spawn_blocking(move || start(sources, api, &settings, &token)).await;
        let (router, threads) = started.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let router = around(router, hosts);
        Ok(Self { listener, addr, router, limits, threads, cancelled, _cancel: cancel })
    }

    /// Whether [`Server::bind`] would get the address, for who wants to know long before.
    ///
    /// # Errors
    /// If it would not.
    pub async fn check(settings: &Settings) -> Result<(), ServeError> {
        Hosts::new(settings.addr, &settings.hosts)?;
        listen(settings).await.map(drop)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `shutdown`; then finishes what is under way, for two seconds at most.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, router, limits, threads, cancelled, _cancel, .. } = self;
        let upkeep = upkeep_of_metrics();
        let serving = connections::serve(listener, router, limits, &cancelled);
        let ending = async {
            shutdown.await;
            cancelled.cancel();
        };
        tokio::select! {
            ((), ()) = async { tokio::join!(serving, ending) } => {}
            () = upkeep => {}
        }
        // All requests have ended, and with them the collector: its thread finishes what it has.
        let joined = tokio::task::spawn_blocking(|| threads.into_iter().map(JoinHandle::join).all(|end| end.is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::error!("a thread of the server failed");
        }
    }
}

async fn listen(settings: &Settings) -> Result<TcpListener, ServeError> {
    let addr = settings.addr;
    if !addr.ip().is_loopback() && !settings.allow_remote {
        return Err(ServeError::Remote { addr });
    }
    TcpListener::bind(addr).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServeError::InUse { addr },
        _ => ServeError::Listen { addr, source },
    })
}

type Started = (Router, Vec<JoinHandle<()>>);

/// Starts the threads; the router holds on to what they serve.
fn start(
    sources: Sources,
    api: Arc<Api>,
    settings: &Settings,
    cancelled: &CancellationToken,
) -> Result<Started, ServeError> {
    let Sources { lake, log, names } = sources;
    let mut threads = Vec::new();
    let collector = match (&settings.collector, &log) {
        (None, _) => None,
        (Some(_), None) => return Err(ServeError::NoLog),
        (Some(collector), Some(log)) => {
            let (collector, thread) = Collector::start(log, &names, collector, settings.clock)?;
            threads.push(thread);
            Some(Arc::new(collector))
        }
    };
    let facts: Arc<dyn Facts> = Arc::clone(&api) as Arc<dyn Facts>;
    let live = live::Sources { lake: lake.clone(), log: log.clone(), names, facts: Some(facts), clock: settings.clock };
    let (live, thread) = Live::start(live, cancelled)?;
    threads.push(thread);
    let (api, mut document) = api::router(api);
    let (live, of_live) = live::router(live);
    let (collector, of_collector) = collector::router(collector);
    document.merge(of_live);
    document.merge(of_collector);
    let router = health::router(Health { lake, log }).merge(live).merge(collector);
    let router = router.method_not_allowed_fallback(problem::wrong_method);
    let router = router.merge(api).merge(api::document_route(document)).merge(page::router());
    Ok((router, threads))
}

/// What every answer goes through.
fn around(router: Router, hosts: Option<Hosts>) -> Router {
    let no_sniffing = HeaderValue::from_static("nosniff");
    let router = match hosts {
        Some(hosts) => router.layer(middleware::from_fn_with_state(hosts, hosts::check)),
        None => router,
    };
    router
        .layer(CatchPanicLayer::custom(observe::panicked))
        .layer(SetResponseHeaderLayer::if_not_present(header::X_CONTENT_TYPE_OPTIONS, no_sniffing))
        .layer(middleware::from_fn(observe::request))
}

/// Histograms collect what comes between two scrapes; somebody has to sum it up when nobody scrapes.
async fn upkeep_of_metrics() {
    const EVERY: Duration = Duration::from_secs(5);
    loop {
        tokio::time::sleep(EVERY).await;
        observe::metrics().run_upkeep();
    }
}
