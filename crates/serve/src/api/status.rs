//! `GET /status`: what is there to be read.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::state::Api;
use super::time::{Dates, Instant};
use crate::gold::{Snapshot, TableState, newest_states};
use crate::problem::Problem;

/// What is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Version of the program.
    version: &'static str,
    /// The published build; null before the first.
    build: Option<BuildStatus>,
    /// First and last date with a view.
    dates: Option<Dates>,
    /// The tables of the build; before the first, those of bronze and silver at their newest versions.
    tables: Vec<TableState>,
}

/// A published build.
#[derive(Debug, Serialize, ToSchema)]
struct BuildStatus {
    /// Its id in `gold.builds`.
    build_id: String,
    /// When it was published.
    finished_at: Instant,
    /// Version of bronze that it was made from.
    bronze_version: i64,
    /// Records received up to there.
    records: u64,
    /// Rows of all tables of gold.
    gold_rows: u64,
}

impl Answer for Status {}

/// The published build and its tables. Works before the first build, too.
#[utoipa::path(get, path = "/status", tag = "about", responses((status = 200, description = "What is there.", body = Status)))]
pub(crate) async fn status(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    asking.params.none_left(&[])?;
    let status = match api.loaded() {
        Some(snapshot) => of_build(&snapshot),
        None => {
            let tables = newest_states(&api.lake).await?;
            Status { version: env!("CARGO_PKG_VERSION"), build: None, dates: None, tables }
        }
    };
    let versions: Vec<String> = status.tables.iter().map(|table| format!("{}@{}", table.name, table.version)).collect();
    let build_id = status.build.as_ref().map(|build| build.build_id.as_str()).unwrap_or_default();
    let state = format!("{build_id} {}", versions.join(" "));
    let question = Question { state: &state, endpoint: "status".to_owned(), query: String::new(), page: None };
    api.answers.answer(&asking, question, async { Ok(status) }).await
}

fn of_build(snapshot: &Snapshot) -> Status {
    let rows = |layer: &str| snapshot.tables.iter().filter(|t| t.name.starts_with(layer)).map(|t| t.rows).sum();
    let build = &snapshot.build;
    Status {
        version: env!("CARGO_PKG_VERSION"),
        build: Some(BuildStatus {
            build_id: build.build_id.clone(),
            finished_at: Instant(build.finished_at),
            bronze_version: build.bronze_version,
            records: rows("bronze.events"),
            gold_rows: rows("gold."),
        }),
        dates: snapshot.dates,
        tables: snapshot.tables.clone(),
    }
}
