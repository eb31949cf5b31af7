//! `/healthz`: the process is alive. `/readyz`: it can read what it serves. `/metrics`: what Prometheus collects.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use streamreel_lake::Lake;
use streamreel_topic::Log;

use crate::observe;

/// What is not read within this time can't be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// What must be readable.
pub(crate) struct Health {
    /// The lake.
    pub(crate) lake: Lake,
    /// The log, where there is one.
    pub(crate) log: Option<Arc<dyn Log>>,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The three paths.
pub(crate) fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(health))
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let lake = health.lake.clone();
    let mut checks = vec![check("lake", async move { read(&lake).await }).await];
    if let Some(log) = health.log.clone() {
        let read = tokio::task::spawn_blocking(move || log.topics().map(drop).map_err(|error| error.to_string()));
        checks.push(check("log", async { read.await.unwrap_or_else(|error| Err(error.to_string())) }).await);
    }
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(Ready { ready, checks })).into_response()
}

/// Reads what surfaces read first: whose the folder is, and the last build.
async fn read(lake: &Lake) -> Result<(), String> {
    let place = lake.clone();
    let checked = tokio::task::spawn_blocking(move || place.check()).await;
    checked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    lake.published().await.map(drop).map_err(|error| error.to_string())
}

async fn check(name: &'static str, read: impl Future<Output = Result<(), String>>) -> Check {
    let too_slow = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
    let error = tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| too_slow()).err();
    Check { name, ok: error.is_none(), error }
}

async fn metrics() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], observe::metrics().render()).into_response()
}
