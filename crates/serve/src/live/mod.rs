//! Live numbers: what comes in now, who is watching, how far each part is behind.
//!
//! One thread follows the ends of the three topics, keeps counts of two minutes and who is watching (bounded, see
//! [`viewers`]), and publishes a snapshot whenever something has changed, five times a second at most and once at least. The topics
//! are the only source: it makes no difference whether the processor runs in this process or in another.
//!
//! A snapshot is rendered once. Clients of the stream get the newest one whenever they are ready for it: one that is slow skips
//! some, and keeps nobody waiting.

mod lag;
mod lake;
mod snapshot;
mod tail;
mod viewers;
mod window;

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use streamreel_lake::Lake;
use streamreel_topic::Log;
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::observe;
use crate::problem::{Kind, Problem};
use crate::server::{Names, ServeError};
use lag::{ToClean, ToLake};
use lake::{LakeState, Watcher};
pub use snapshot::AuditState;
use snapshot::{BuildState, Lag, Snapshot, VideoNow};
use tail::Tail;
use viewers::Viewers;
use window::Window;

/// The longest wait for a change of the log.
const LOOK: Duration = Duration::from_millis(100);
/// The shortest time from one look at the log to the next.
const REST: Duration = Duration::from_millis(40);
/// The shortest time between two snapshots ...
const SOONEST: Duration = Duration::from_millis(200);
/// ... and the longest.
const LATEST: Duration = Duration::from_millis(950);
/// After an error of the log, the next look waits so long.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// Clients of the stream at a time.
const MOST_CLIENTS: usize = 200;
/// Videos that a snapshot names.
const TOP: usize = 20;

/// What the live numbers take from other parts of the server.
pub trait Facts: Send + Sync {
    /// A video's title, where one is known. Must not block.
    fn title(&self, video_id: &str) -> Option<Arc<str>>;

    /// What the last audit found; `None` before the first. Must not block.
    fn audit(&self) -> Option<AuditState>;
}

/// A snapshot, rendered.
#[derive(Debug, Clone)]
struct Published {
    json: Bytes,
    /// The same as an event of the stream.
    event: Bytes,
}

/// The newest snapshot, for clients.
#[derive(Clone)]
pub(crate) struct Live {
    newest: watch::Receiver<Published>,
    clients: Arc<Semaphore>,
}

/// What live numbers are made of.
pub(crate) struct Sources {
    /// The lake.
    pub(crate) lake: Lake,
    /// The log; without one, only what the lake says is live.
    pub(crate) log: Option<Arc<dyn Log>>,
    /// How topics and headers are called.
    pub(crate) names: Names,
    /// Titles and audits, where somebody has them.
    pub(crate) facts: Option<Arc<dyn Facts>>,
    /// Microseconds since 1970, UTC.
    pub(crate) clock: fn() -> i64,
}

impl Live {
    /// Starts following, from the ends that the topics have now, until it is cancelled. Blocks for a moment; inside a runtime.
    ///
    /// # Errors
    /// When the log can't be read, or there is no thread to be had.
    pub(crate) fn start(sources: Sources, cancelled: &CancellationToken) -> Result<(Self, JoinHandle<()>), ServeError> {
        let names = sources.names;
        let identity = match sources.log.as_ref().map(|log| log.identity(names.topics.received)).transpose() {
            Err(streamreel_topic::Error::UnknownTopic { .. }) => None,
            known => known?,
        };
        let (watcher, lake) = Watcher::new(sources.lake, identity, names);
        tokio::spawn(watcher.run(cancelled.clone()));
        let clients = Arc::new(Semaphore::new(MOST_CLIENTS));
        let now_us = (sources.clock)();
        let mut follower = Follower {
            tail: sources.log.clone().map(|log| Tail::new(log, names)).transpose()?,
            log: sources.log,
            lake,
            facts: sources.facts,
            clock: sources.clock,
            clients: Arc::clone(&clients),
            window: Window::new(now_us.div_euclid(1_000_000)),
            viewers: Viewers::default(),
            to_clean: ToClean::default(),
            to_lake: ToLake::default(),
            unprocessed: 0,
            received: 0,
        };
        let mut seen = None;
        follower.look(&mut seen, now_us)?;
        let (publish, newest) = watch::channel(follower.snapshot(now_us));
        let cancelled = cancelled.clone();
        let thread = std::thread::Builder::new().name("live".to_owned());
        let thread = thread.spawn(move || follower.run(&publish, seen, &cancelled)).map_err(ServeError::Thread)?;
        Ok((Self { newest, clients }, thread))
    }
}

/// The thread that follows.
struct Follower {
    tail: Option<Tail>,
    log: Option<Arc<dyn Log>>,
    lake: watch::Receiver<LakeState>,
    facts: Option<Arc<dyn Facts>>,
    clock: fn() -> i64,
    clients: Arc<Semaphore>,
    window: Window,
    viewers: Viewers,
    to_clean: ToClean,
    to_lake: ToLake,
    unprocessed: u64,
    /// Records that were ever received.
    received: u64,
}

impl Follower {
    fn run(&mut self, publish: &watch::Sender<Published>, mut seen: Option<u64>, cancelled: &CancellationToken) {
        let (mut published_at, mut is_new) = (Instant::now(), false);
        let mut second = 0;
        while !cancelled.is_cancelled() {
            let began = Instant::now();
            let now_us = (self.clock)();
            if now_us.div_euclid(1_000_000) != second {
                second = now_us.div_euclid(1_000_000);
                self.window.roll(second);
                self.viewers.forget_silent(now_us);
            }
            match self.look(&mut seen, now_us) {
                Ok(has_changed) => is_new |= has_changed,
                Err(error) => {
                    tracing::warn!(%error, "the live numbers can't read the log");
                    std::thread::sleep(AFTER_ERROR);
                }
            }
            is_new |= self.look_at_lake(now_us);
            let since = published_at.elapsed();
            if since >= LATEST || (is_new && since >= SOONEST) {
                publish.send_replace(self.snapshot(now_us));
                (published_at, is_new) = (Instant::now(), false);
            }
            self.wait(seen, began);
        }
    }

    /// Until something may have changed.
    fn wait(&self, seen: Option<u64>, began: Instant) {
        if let (Some(log), Some(seen)) = (&self.log, seen) {
            // An error is said by the next look.
            let _ = log.wait(seen, LOOK);
        } else {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(REST.saturating_sub(began.elapsed()));
    }

    /// Reads what is new in the log; false: nothing. `seen` is the version of the log of which all is read.
    fn look(&mut self, seen: &mut Option<u64>, now_us: i64) -> Result<bool, streamreel_topic::Error> {
        let (Some(log), Some(tail)) = (&self.log, &mut self.tail) else { return Ok(false) };
        let version = log.data_version()?;
        if *seen == Some(version) {
            return Ok(false);
        }
        let found = tail.look(&mut self.viewers, &mut self.to_clean, now_us)?;
        *seen = (!found.is_behind).then_some(version);
        self.window.add(&found.counts, now_us);
        self.to_lake.cleaned(found.cleaned, now_us);
        (self.unprocessed, self.received) = (found.unprocessed, found.received);
        metrics::counter!(observe::RECEIVED_RECORDS).increment(found.counts.received);
        for (partition, lag) in found.lags.iter().enumerate() {
            metrics::gauge!(observe::CONSUMER_LAG_RECORDS, "partition" => partition.to_string()).set(*lag as f64);
        }
        let outcomes =
            [("clean", found.counts.clean), ("rejected", found.counts.rejected), ("duplicate", found.counts.duplicate)];
        for (outcome, count) in outcomes {
            metrics::counter!(observe::RECORDS, "outcome" => outcome).increment(count);
        }
        Ok(true)
    }

    fn look_at_lake(&mut self, now_us: i64) -> bool {
        if !self.lake.has_changed().unwrap_or(false) {
            return false;
        }
        let landed = self.lake.borrow_and_update().landed;
        if let Some(landed) = landed {
            self.to_lake.landed(landed, now_us);
        }
        true
    }

    fn snapshot(&self, now_us: i64) -> Published {
        let LakeState { landed, build } = self.lake.borrow().clone();
        let audit = self.facts.as_ref().and_then(|facts| facts.audit());
        let total = self.window.total();
        let [received_per_s, clean_per_s, rejected_per_s, duplicate_per_s] = self.window.rates();
        let video = |(id, viewers): (Arc<str>, u32)| VideoNow {
            title: self.facts.as_ref().and_then(|facts| facts.title(&id)).map(|title| title.to_string()),
            video_id: id.to_string(),
            viewers,
        };
        let lag = Lag {
            event_to_clean_ms: self.to_clean.median_ms(now_us),
            clean_to_lake_ms: self.to_lake.ms(now_us),
            lake_behind_records: landed.map_or(0, |landed| self.received.saturating_sub(landed)),
        };
        self.measure(lag, build.as_ref(), audit.as_ref());
        let snapshot = Snapshot {
            at: now_us,
            received_per_s,
            clean_per_s,
            rejected_per_s,
            duplicate_per_s,
            received: total.received,
            clean: total.clean,
            rejected: total.rejected,
            duplicates: total.duplicate,
            unprocessed: self.unprocessed,
            viewers_now: self.viewers.watching(),
            videos: self.viewers.top(TOP).into_iter().map(video).collect(),
            lag,
            history: self.window.seconds(),
            build,
            audit,
        };
        let json = serde_json::to_vec(&snapshot).expect("numbers and text have a form in JSON");
        let event = [b"event: live\ndata: ".as_slice(), &json, b"\n\n"].concat();
        Published { json: json.into(), event: event.into() }
    }

    fn measure(&self, lag: Lag, build: Option<&BuildState>, audit: Option<&AuditState>) {
        metrics::gauge!(observe::UNPROCESSED_RECORDS).set(self.unprocessed as f64);
        metrics::gauge!(observe::VIEWERS).set(self.viewers.watching() as f64);
        metrics::gauge!(observe::LIVE_CLIENTS).set((MOST_CLIENTS - self.clients.available_permits()) as f64);
        metrics::gauge!(observe::LAKE_BEHIND_RECORDS).set(lag.lake_behind_records as f64);
        if let Some(lag_ms) = lag.clean_to_lake_ms {
            metrics::gauge!(observe::LAKE_LAG_SECONDS).set(lag_ms as f64 / 1000.0);
        }
        if let Some(build) = build {
            metrics::gauge!(observe::BUILD_FINISHED_SECONDS).set(build.finished_at as f64 / 1e6);
        }
        if let Some(audit) = audit {
            metrics::gauge!(observe::AUDIT_HOLDS).set(f64::from(u8::from(audit.holds)));
        }
    }
}

/// `/api/v1/live` and `/api/v1/live/now`, and their description.
pub(crate) fn router(live: Live) -> (Router, OpenApi) {
    OpenApiRouter::new().routes(routes!(follow)).routes(routes!(now)).with_state(live).split_for_parts()
}

/// The live numbers, again and again: server-sent events with the name `live`, the first at once, then whenever something
/// has changed, at least once a second.
#[utoipa::path(get, path = "/api/v1/live", tag = "live",
    responses(
        (status = OK, description = "Events `live`, each with a snapshot", content_type = "text/event-stream", body = Snapshot),
        (status = SERVICE_UNAVAILABLE, description = "Too many clients follow; come again after Retry-After"),
    ))]
async fn follow(State(live): State<Live>) -> Result<Response, Problem> {
    const LATER_S: u32 = 10;
    /// How soon a client comes back when the stream breaks off.
    const BEGINNING: &[u8] = b"retry: 1000\n\n";
    let client = Arc::clone(&live.clients).try_acquire_owned().map_err(|_| {
        let detail =
            format!("{MOST_CLIENTS} clients follow the live numbers already; ask for /api/v1/live/now instead");
        Problem::new(Kind::Busy, detail).retry_after(LATER_S)
    })?;
    let events = WatchStream::new(live.newest).map(move |newest| {
        let _held = &client;
        newest.event
    });
    let events = stream::once(async { Bytes::from_static(BEGINNING) }).chain(events).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// The live numbers once.
#[utoipa::path(get, path = "/api/v1/live/now", tag = "live",
    responses((status = OK, description = "The newest snapshot", body = Snapshot)))]
async fn now(State(live): State<Live>) -> Response {
    let json = live.newest.borrow().json.clone();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], json).into_response()
}
