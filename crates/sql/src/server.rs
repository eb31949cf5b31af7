//! The listener: it takes clients in, as many as there are places for.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use streamreel_lake::Lake;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::Door,
    connection,
    engine::Engine,
    error::{Error, Result},
    failure::{Failure, code},
    listing::System,
    session::Shared,
    settings::Settings,
    snapshot::Snapshots,
    statement::Reader,
};

/// Connections beyond the sessions: those that log in, cancel a query, or are told that there is no place.
const DOORSTEP: usize = 64;
/// How long sessions have to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(3);
/// Wait after the system could not take a connection, as when all file descriptors are in use.
const BREATHER: Duration = Duration::from_millis(100);

/// A SQL endpoint that listens.
pub struct Server {
    listener: std::net::TcpListener,
    addr: SocketAddr,
    door: Arc<Door>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the lake's tables and listens.
    ///
    /// # Errors
    /// [`Error::Exposed`] for an address that others can reach without a password and TLS; when the address, the
    /// certificate or the lake can't be used.
    ///
    /// Boxed, so that the compiler makes the code of what it opens here, and not anew in each program that runs a server.
    #[inline(never)]
    pub fn bind(lake: Lake, settings: Settings) -> BoxFuture<'static, Result<Self>> {
        Self::open(lake, settings).boxed()
    }

    async fn open(lake: Lake, settings: Settings) -> Result<Self> {
        let door = Door::new(&settings)?;
        let (snapshots, session) = Snapshots::open(lake.clone()).await?;
        let snapshots = Arc::new(snapshots);
        let engine = Engine::new(&lake, &session, &settings)?;
        let system = System::new(&snapshots).map_err(Error::Engine)?;
        let listen = |source| Error::Listen { addr: settings.addr, source };
        let listener = TcpListener::bind(settings.addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        // Clients are served on other threads than the caller's.
        let listener = listener.into_std().map_err(listen)?;
        let shared = Shared { settings, engine, snapshots, system: Arc::new(system), reader: Reader::new() };
        Ok(Self { listener, addr, door: Arc::new(door), shared: Arc::new(shared) })
    }

    /// Whether [`Server::bind`] would get the address and let clients in, for who wants to know long before.
    ///
    /// # Errors
    /// If it would not.
    pub async fn check(settings: &Settings) -> Result<()> {
        Door::new(settings)?;
        let listen = |source| Error::Listen { addr: settings.addr, source };
        TcpListener::bind(settings.addr).await.map(drop).map_err(listen)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves clients until `shutdown` is done. Then queries are stopped and clients told.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, door, shared, .. } = self;
        let stop = CancellationToken::new();
        // Dropped while it serves, it stops, too.
        let stop_at_the_end = stop.clone().drop_guard();
        let mut serving = shared.engine.serve(serve(listener, door, Arc::clone(&shared), stop));
        tokio::select! {
            () = shutdown => {}
            _ = &mut serving => return,
        }
        drop(stop_at_the_end);
        if let Err(error) = serving.await {
            tracing::error!(%error, "the SQL endpoint failed");
        }
    }
}

/// Takes clients in until it is to stop.
///
/// Boxed, so that the compiler makes the code of a connection here, and not anew in each program that runs a server.
#[inline(never)]
fn serve(
    listener: std::net::TcpListener,
    door: Arc<Door>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> BoxFuture<'static, ()> {
    take(listener, door, shared, stop).boxed()
}

async fn take(listener: std::net::TcpListener, door: Arc<Door>, shared: Arc<Shared>, stop: CancellationToken) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the SQL endpoint can't listen"),
    };
    let most = shared.settings.max_connections;
    let places = Arc::new(Semaphore::new(most));
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = clients.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) if clients.len() < most + DOORSTEP => {
                let (door, shared) = (Arc::clone(&door), Arc::clone(&shared));
                let served = connection::serve(socket, peer, door, shared, Arc::clone(&places), stop.clone());
                clients.spawn(std::panic::AssertUnwindSafe(served).catch_unwind().map(move |served| {
                    if served.is_err() {
                        tracing::error!(%peer, "a SQL connection panicked");
                    }
                }));
            }
            Ok((socket, peer)) => refuse(socket, peer),
            Err(error) => {
                tracing::warn!(%error, "can't take a SQL connection");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
    drop(listener);
    let all_left = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, all_left).await.is_err() {
        tracing::warn!(clients = clients.len(), "SQL clients did not leave in time");
    }
}

fn refuse(socket: TcpStream, peer: SocketAddr) {
    tracing::warn!(%peer, "SQL connection refused: too many at once");
    connection::turn_away(socket, Failure::new(code::TOO_MANY_CONNECTIONS, "sorry, too many clients already"));
}
