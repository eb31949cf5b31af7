//! The collector: players send events over HTTP, and are answered when these are on the disk.
//!
//! `POST /v1/events` takes a JSON array of events or one event a line (see [`split`]), plain or with gzip, at most
//! [`MAX_BODY_BYTES`] of events and [`MAX_EVENTS`] of them. The answer `{"accepted": n}` comes when `n` records are durable in the
//! topic; whoever has it has lost nothing. A client that did not get it sends the same again: copies of an event share a user and
//! an id, so the processor finds them.
//!
//! Nothing is judged here. A record that is no event is stored as it came, and shows up among the dead letters with a reason; a
//! record over the limit is cut to it, with a header that says so.
//!
//! One thread writes (see [`commit`]): requests that come while it waits for the disk share the next sync. Memory is bounded by
//! `memory_bytes` for all requests together; beyond it, and beyond its queue, a client is told to come again in a second (429).

mod access;
mod commit;
mod receive;
mod schema;
mod split;

use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Serialize;
use streamreel_topic::Log;
use tokio::sync::Semaphore;
use utoipa::ToSchema;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::{Kind, Problem, wrong_method};
use crate::server::Names;
use access::Access;
use commit::Committer;

/// The largest body of a request, and what it may be decompressed to: 500 kB.
pub const MAX_BODY_BYTES: usize = 500_000;
/// The most events of a request. A body of valid events never has as many.
pub const MAX_EVENTS: u64 = 10_000;

/// How a collector works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Partitions of the topic, if it has to be made.
    pub partitions: u32,
    /// Who may send: any of these as `Authorization: Bearer`; everybody where there is none.
    pub tokens: Vec<String>,
    /// Pages of which origins may send, as `https://example.com`; `*` of any. Those of this server always may.
    pub cors_origins: Vec<String>,
    /// Memory of all requests under way together.
    pub memory_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { partitions: 4, tokens: Vec::new(), cors_origins: Vec::new(), memory_bytes: 64 << 20 }
    }
}

/// Settings that make no collector.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An origin that no browser sends.
    #[error(
        "{origin:?} is no origin: a scheme, a host and perhaps a port, in lower case, as https://example.com; or *"
    )]
    Origin {
        /// As given.
        origin: String,
    },
    /// A token that no header can hold.
    #[error("a token of the collector is empty, or has other characters than visible ASCII")]
    Token,
}

/// Why a collector can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Wrong settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log refuses.
    #[error("the collector can't write to the log: {0}")]
    Log(streamreel_topic::Error),
    /// No thread to be had.
    #[error("the collector's thread can't be started: {0}")]
    Thread(std::io::Error),
}

/// What `POST /v1/events` answers: this many records are durable in the topic.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// Records stored, whatever they are worth.
    accepted: u64,
    /// How many of them were over 32 KiB and are cut to it; they will be rejected as `too_large`.
    #[serde(skip_serializing_if = "is_zero")]
    cut: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Takes events for a topic.
pub(crate) struct Collector {
    access: Access,
    committer: Committer,
    partitions: u32,
    cut_header: &'static str,
    /// What is left of the memory, in KiB.
    memory_kib: Arc<Semaphore>,
    clock: fn() -> i64,
}

impl Collector {
    /// Starts the thread that writes; makes the topic if it is not there. The thread ends when the collector is dropped.
    pub(crate) fn start(
        log: &Arc<dyn Log>,
        names: &Names,
        settings: &Settings,
        clock: fn() -> i64,
    ) -> Result<(Self, JoinHandle<()>), StartError> {
        let access = Access::new(&settings.tokens, &settings.cors_origins)?;
        let topic = names.topics.received;
        let partitions = log.ensure_topic(topic, settings.partitions).map_err(StartError::Log)?;
        let (committer, thread) = Committer::start(Arc::clone(log), topic)?;
        let memory_kib = Arc::new(Semaphore::new((settings.memory_bytes / 1024).min(Semaphore::MAX_PERMITS)));
        Ok((Self { access, committer, partitions, cut_header: names.cut_header, memory_kib, clock }, thread))
    }
}

/// The collector's paths, and their description; without a collector they say so.
pub(crate) fn router(collector: Option<Arc<Collector>>) -> (Router, OpenApi) {
    let Some(collector) = collector else {
        let (router, description) = OpenApiRouter::new().routes(routes!(schema::show)).split_for_parts();
        return (router.route("/v1/events", post(absent)), description);
    };
    let cors = collector.access.cors();
    let router = OpenApiRouter::new().routes(routes!(collect)).routes(routes!(schema::show));
    let (router, description) = router.with_state(collector).split_for_parts();
    // Whatever answers must stand before the layer, or a browser's question whether it may send finds a wrong method.
    (router.method_not_allowed_fallback(wrong_method).layer(cors), description)
}

/// Stores events; answers when they are on the disk.
#[utoipa::path(post, path = "/v1/events", tag = "collector",
    request_body(
        description = "A JSON array of events or one event a line, plain or with gzip, at most 500 kB. See /v1/events/schema.",
        content((Vec<Object> = "application/json"), (String = "application/x-ndjson"), (String = "text/plain"))),
    responses(
        (status = OK, description = "So many records are durable in the topic", body = Accepted),
        (status = BAD_REQUEST, description = "Neither an array nor lines; nothing is stored"),
        (status = UNAUTHORIZED, description = "A token is wanted"),
        (status = FORBIDDEN, description = "Pages of this origin may not send, or the host is no name of this server"),
        (status = REQUEST_TIMEOUT, description = "The body came too slowly; nothing is stored"),
        (status = PAYLOAD_TOO_LARGE, description = "More than 500 kB or 10,000 events; nothing is stored"),
        (status = UNSUPPORTED_MEDIA_TYPE, description = "Another type or encoding; nothing is stored"),
        (status = TOO_MANY_REQUESTS, description = "Nothing is stored; come again after Retry-After"),
        (status = SERVICE_UNAVAILABLE, description = "The log can't be written; nothing is stored; come again after Retry-After"),
    ))]
async fn collect(State(collector): State<Arc<Collector>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    receive::receive(&collector, &parts.headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn absent() -> Response {
    let detail = "this server only reads; events are taken by `streamreel up`, or `streamreel serve --collect`";
    Problem::new(Kind::NotFound, detail).closing().into_response()
}
