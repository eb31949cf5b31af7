//! Connections: taken, bounded, watched, ended.
//!
//! There are at most so many at a time. When all are taken, the one that has been idle longest makes room for a new one, or else the
//! one whose client has not taken any of its answer for longest: a thousand clients that say nothing, or do not listen, keep nobody
//! out. Only when every single one is being answered is a new one refused (503).
//!
//! A client has a limited time for its headers, and one whose connection moves no byte for a minute, while no request of it is
//! being worked on, loses it: that ends idle ones, and those that have stopped reading an answer.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::observe;

/// How long requests under way may take to end when the server stops.
const GRACE: Duration = Duration::from_millis(1_500);
/// After an error of the system (too many open files), the next connection is taken so much later.
const AFTER_ERROR: Duration = Duration::from_millis(50);
/// Whoever takes nothing of an answer for so long does not listen.
const DEAF: Duration = Duration::from_secs(2);
/// How often connections that have stopped moving are looked for.
const SWEEP: Duration = Duration::from_secs(1);
/// All headers of a request together, in bytes; more is answered with 431.
const HEADER_BYTES: usize = 64 << 10;
/// Headers of a request.
const HEADERS: usize = 100;
const REFUSED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections: usize,
    /// How long the headers of a request may take, and the wait for the next one.
    pub(crate) header: Duration,
    /// How long a connection may stand still.
    pub(crate) still: Duration,
}

/// Takes connections until it is cancelled; then ends them.
///
/// Boxed, so that the compiler makes the code of a connection here, and not anew in each program that runs a server.
#[inline(never)]
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    cancelled: &CancellationToken,
) -> BoxFuture<'_, ()> {
    take(listener, router, limits, cancelled).boxed()
}

async fn take(listener: TcpListener, router: Router, limits: Limits, cancelled: &CancellationToken) {
    let open = Open::new(limits);
    let mut tasks = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            () = cancelled.cancelled() => break,
            _ = sweep.tick() => open.close_still(),
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match open.admit() {
                    Some(admitted) => {
                        tasks.spawn(converse(stream, peer, router.clone(), limits, admitted, cancelled.clone()));
                    }
                    // What can't be written is not waited for.
                    None => drop(stream.try_write(REFUSED)),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    open.close_idlest();
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            },
        }
    }
    drop((listener, router));
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests under way were broken off");
        tasks.shutdown().await;
    }
}

/// One connection from its first request to its last.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    admitted: Admitted,
    cancelled: CancellationToken,
) {
    // Answers are written whole; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let state = Arc::clone(&admitted.state);
    let io = TokioIo::new(Watched { stream, state: Arc::clone(&state) });
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        let (open, working) = (Held::new(&state, |state| &state.open), Held::new(&state, |state| &state.working));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer: Result<_, Infallible> = answer.await;
            drop(working);
            answer.map(|answer| answer.map(|body| Answering { body, _open: open }))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header).max_buf_size(HEADER_BYTES).max_headers(HEADERS);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            // How a client ends its connection is its own affair.
            _ = connection.as_mut() => return,
            () = state.close.cancelled() => return,
            () = cancelled.cancelled(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// What is known of a connection while it is open.
#[derive(Debug)]
struct State {
    begun: Instant,
    /// When the last byte went either way, milliseconds after `begun`.
    moved_ms: AtomicU64,
    /// Requests that are not answered to their end.
    open: AtomicU32,
    /// Those of them whose answer has not begun.
    working: AtomicU32,
    close: CancellationToken,
}

impl State {
    fn moved(&self) {
        self.moved_ms.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn still_for(&self) -> Duration {
        (self.begun + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed))).elapsed()
    }

    /// Whether it waits for a request.
    fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }

    /// Whether only the client can make it move.
    fn is_up_to_client(&self) -> bool {
        self.working.load(Ordering::Relaxed) == 0
    }
}

/// One more of a count, as long as it lives.
struct Held {
    state: Arc<State>,
    count: fn(&State) -> &AtomicU32,
}

impl Held {
    fn new(state: &Arc<State>, count: fn(&State) -> &AtomicU32) -> Self {
        count(state).fetch_add(1, Ordering::Relaxed);
        Self { state: Arc::clone(state), count }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.moved();
        (self.count)(&self.state).fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer on its way.
struct Answering {
    body: Body,
    _open: Held,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// The connections that are open.
#[derive(Debug, Clone)]
struct Open {
    limits: Limits,
    connections: Arc<Mutex<HashMap<u64, Arc<State>>>>,
    next: Arc<AtomicU64>,
}

/// A place among the open connections; given back when dropped.
struct Admitted {
    state: Arc<State>,
    number: u64,
    open: Open,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut connections = self.open.lock();
        connections.remove(&self.number);
        metrics::gauge!(observe::HTTP_CONNECTIONS).set(connections.len() as f64);
    }
}

impl Open {
    fn new(limits: Limits) -> Self {
        Self { limits, connections: Arc::default(), next: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, if need be that of the idlest; `None` when all are being answered.
    fn admit(&self) -> Option<Admitted> {
        if self.lock().len() >= self.limits.connections && !self.close_idlest() {
            return None;
        }
        let state = Arc::new(State {
            begun: Instant::now(),
            moved_ms: AtomicU64::new(0),
            open: AtomicU32::new(0),
            working: AtomicU32::new(0),
            close: CancellationToken::new(),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut connections = self.lock();
        connections.insert(number, Arc::clone(&state));
        metrics::gauge!(observe::HTTP_CONNECTIONS).set(connections.len() as f64);
        drop(connections);
        Some(Admitted { state, number, open: self.clone() })
    }

    /// Closes the connection that has waited longest for a request, or else for its client; false: none does.
    fn close_idlest(&self) -> bool {
        let mut connections = self.lock();
        let waits = |state: &State| state.is_idle() || (state.is_up_to_client() && state.still_for() > DEAF);
        let waiting = connections.iter().filter(|(_, state)| waits(state));
        let idlest = waiting.map(|(number, state)| (state.is_idle(), state.still_for(), *number)).max();
        let Some((.., number)) = idlest else { return false };
        if let Some(state) = connections.remove(&number) {
            state.close.cancel();
        }
        true
    }

    /// Closes those that have stood still for too long.
    fn close_still(&self) {
        let connections = self.lock();
        let still =
            connections.values().filter(|state| state.is_up_to_client() && state.still_for() > self.limits.still);
        still.for_each(|state| state.close.cancel());
    }
}

/// A stream that notes when it moves.
struct Watched {
    stream: TcpStream,
    state: Arc<State>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.state.moved();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.state.moved();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.state.moved();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
