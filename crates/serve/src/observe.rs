//! What is seen of the server from outside: its metrics, and a span and a log line for each request.
//!
//! Metrics are named and described here, once. Names end in their unit; all begin with `streamreel_`.

use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Instrument;

use crate::problem::{Kind, Problem};

/// Counter: records by outcome, seen in the cleaned topics since the program started.
pub const RECORDS: &str = "streamreel_records_total";
/// Counter: records that came into the topic since the program started.
pub const RECEIVED_RECORDS: &str = "streamreel_received_records_total";
/// Gauge: records received and not yet cleaned.
pub const UNPROCESSED_RECORDS: &str = "streamreel_unprocessed_records";
/// Gauge: the same for each partition of the topic, where our processor cleans.
pub const CONSUMER_LAG_RECORDS: &str = "streamreel_consumer_lag_records";
/// Gauge: partitions that the processor of this program holds.
pub const ASSIGNED_PARTITIONS: &str = "streamreel_assigned_partitions";
/// Gauge: viewers now.
pub const VIEWERS: &str = "streamreel_viewers";
/// Gauge: clients of the live stream.
pub const LIVE_CLIENTS: &str = "streamreel_live_clients";
/// Gauge: how far the lake is behind the cleaned topics, in records.
pub const LAKE_BEHIND_RECORDS: &str = "streamreel_lake_behind_records";
/// Gauge: the same in seconds.
pub const LAKE_LAG_SECONDS: &str = "streamreel_lake_lag_seconds";
/// Gauge: when the published build was finished.
pub const BUILD_FINISHED_SECONDS: &str = "streamreel_build_finished_timestamp_seconds";
/// Gauge: 1 if the last audit held, 0 if not.
pub const AUDIT_HOLDS: &str = "streamreel_audit_holds";
/// Counter: records that the collector stored.
pub const COLLECTED_RECORDS: &str = "streamreel_collected_records_total";
/// Histogram: how long the collector's commits take.
pub const COLLECTOR_COMMIT_SECONDS: &str = "streamreel_collector_commit_seconds";
/// Counter: requests by route, method and status.
pub const HTTP_REQUESTS: &str = "streamreel_http_requests_total";
/// Histogram: how long requests take until the answer begins, by route and method.
pub const HTTP_REQUEST_SECONDS: &str = "streamreel_http_request_duration_seconds";
/// Gauge: open connections.
pub const HTTP_CONNECTIONS: &str = "streamreel_http_connections";

/// Bounds of all histograms, in seconds.
const BUCKETS_S: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// A request's id, in the request and in its answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client, in bytes.
const LONGEST_ID: usize = 128;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Collects metrics from now on, for the whole program.
pub(crate) fn metrics() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS_S);
        let recorder = builder.expect("the bounds are not empty").build_recorder();
        let handle = recorder.handle();
        // If somebody else collects in this program, theirs stays and ours remains empty.
        if metrics::set_global_recorder(recorder).is_ok() {
            describe();
            // Without a processor there is nobody who would say so.
            assigned_partitions(0);
        }
        handle
    })
}

fn describe() {
    describe_counter!(
        RECORDS,
        Unit::Count,
        "Records that the processor has decided on, by outcome, since this program started"
    );
    describe_counter!(RECEIVED_RECORDS, Unit::Count, "Records that came into the topic since this program started");
    describe_gauge!(UNPROCESSED_RECORDS, Unit::Count, "Records received and not yet cleaned");
    describe_gauge!(
        CONSUMER_LAG_RECORDS,
        Unit::Count,
        "Offsets of a partition that the group of processors has not got to; on a Kafka an upper bound of its records"
    );
    describe_gauge!(ASSIGNED_PARTITIONS, Unit::Count, "Partitions that the processor of this program holds");
    describe_gauge!(VIEWERS, Unit::Count, "Users whose newest event within 60 s neither pauses nor ends");
    describe_gauge!(LIVE_CLIENTS, Unit::Count, "Clients of the live stream");
    describe_gauge!(LAKE_BEHIND_RECORDS, Unit::Count, "Records received that are not in bronze yet");
    describe_gauge!(LAKE_LAG_SECONDS, Unit::Seconds, "How long bronze is behind the cleaned topics");
    describe_gauge!(BUILD_FINISHED_SECONDS, Unit::Seconds, "When the published build was finished, since 1970");
    describe_gauge!(AUDIT_HOLDS, Unit::Count, "1 if every equation of the last audit held, 0 if one did not");
    describe_counter!(COLLECTED_RECORDS, Unit::Count, "Records that the collector has stored");
    describe_histogram!(COLLECTOR_COMMIT_SECONDS, Unit::Seconds, "How long a commit of the collector takes");
    describe_counter!(HTTP_REQUESTS, Unit::Count, "Requests by route, method and status");
    describe_histogram!(HTTP_REQUEST_SECONDS, Unit::Seconds, "How long a request takes until its answer begins");
    describe_gauge!(HTTP_CONNECTIONS, Unit::Count, "Open connections");
}

/// Notes how many partitions the processor of this program holds.
pub fn assigned_partitions(count: usize) {
    metrics::gauge!(ASSIGNED_PARTITIONS).set(count as f64);
}

/// Counts a request, times it, and logs it in a span with its id.
pub(crate) async fn request(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    // Of a path without a route only that is counted, or anybody could make up series.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let span = tracing::info_span!(
        "request",
        id = %String::from_utf8_lossy(id.as_bytes()),
        method,
        path = request.uri().path(),
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let (took, status) = (began.elapsed(), response.status());
    span.in_scope(|| {
        let took_ms = took.as_secs_f64() * 1000.0;
        match status.is_server_error() {
            true => tracing::warn!(status = status.as_u16(), took_ms, "failed"),
            false => tracing::info!(status = status.as_u16(), took_ms, "answered"),
        }
    });
    let status = status.as_str().to_owned();
    metrics::counter!(HTTP_REQUESTS, "route" => route.clone(), "method" => method, "status" => status).increment(1);
    metrics::histogram!(HTTP_REQUEST_SECONDS, "route" => route, "method" => method).record(took.as_secs_f64());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The client's own id, if it sent one that fits into a line, or a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(&REQUEST_ID);
    let is_good =
        |id: &&HeaderValue| !id.is_empty() && id.len() <= LONGEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic);
    let new = || HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).expect("a UUID is hexadecimal");
    given.filter(is_good).cloned().unwrap_or_else(new)
}

/// The method as a label; of made-up ones only that they are.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "other",
    }
}

/// The answer in place of one that a panic broke off.
pub(crate) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("without a message"), "a request failed");
    let detail = "the server failed at this request; its log says where. Others are not affected";
    Problem::new(Kind::Internal, detail).into_response()
}
