//! `GET /quality`: what was received and what became of it, why records were rejected, and how the models' tests went.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use arrow_schema::ArrowError;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use streamreel_audit::{Count, Counter};
use streamreel_lake::{Build, Reading, TableId};
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::samples::{self, Sample};
use super::state::Api;
use super::time::Instant;
use crate::gold::Snapshot;
use crate::problem::Problem;
use crate::silver::{Columns, Query, Reader, Trouble, text_at};

/// An answer is given again for so long, though more has been received; and for so many times what it took.
const FRESH: Duration = Duration::from_secs(15);
const REST: u32 = 10;
/// A counter that is no correction: the total that others are part of.
const TOTAL: &str = "segments_ended";
/// The counter that is shown as duplicates.
const LATE: &str = "late_duplicates";

/// What became of what was received.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quality {
    /// When this was counted. More may have been received since.
    checked_at: Instant,
    /// Version of bronze that was counted.
    bronze_version: Option<i64>,
    /// Records received: clean + rejected + duplicates.
    records: i64,
    /// Clean ones.
    clean: i64,
    /// Rejected ones.
    rejected: i64,
    /// Copies of clean ones within the deduplication window.
    duplicates: i64,
    /// Why records were rejected, most records first.
    reasons: Vec<Reason>,
    /// Copies, by where they were dropped.
    duplicates_by: Vec<DuplicateCount>,
    /// Fields that were corrected on the way in.
    corrections: Vec<CorrectionCount>,
    /// What the published build dropped and corrected when it derived views.
    view_corrections: Vec<ViewCorrection>,
    /// The tests of the published build's models. A build that fails is not published, and its results are not kept.
    tests: Option<Tests>,
}

/// A reason.
#[derive(Debug, Serialize, ToSchema)]
struct Reason {
    /// Its name.
    #[schema(example = "missing_user_id")]
    reason: String,
    /// Records rejected for it.
    records: i64,
    /// Up to three of them, the most recent.
    samples: Vec<Sample>,
}

/// Copies.
#[derive(Debug, Serialize, ToSchema)]
struct DuplicateCount {
    /// `in_window`: when records were processed; `late_duplicates`: when the published build derived views.
    name: &'static str,
    /// How many.
    records: i64,
}

/// A correction of events.
#[derive(Debug, Serialize, ToSchema)]
struct CorrectionCount {
    /// Its name.
    #[schema(example = "bad_region")]
    name: String,
    /// Events that were corrected so.
    events: i64,
}

/// A correction of views.
#[derive(Debug, Serialize, ToSchema)]
struct ViewCorrection {
    /// Its name, as in silver.views.
    #[schema(example = "unreported_seeks")]
    name: &'static str,
    /// How often; of `unplaced_s` how many seconds.
    #[schema(value_type = f64)]
    count: Count,
}

/// Tests of a build.
#[derive(Debug, Serialize, ToSchema)]
struct Tests {
    /// The build.
    build_id: String,
    /// When it was published.
    finished_at: Instant,
    /// A result a test.
    results: Vec<TestResult>,
}

/// How a test went.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TestResult {
    /// Its name, as dbt has it.
    name: String,
    /// What it is about.
    model: String,
    /// `unit` or `data`.
    kind: String,
    /// What a failure means: `error` keeps a build from being published, `warn` does not.
    severity: String,
    /// `passed`, `failed`, `skipped`, or `unchanged`: all that it reads is as it was when it last passed.
    result: String,
    /// Rows that are wrong.
    failures: u64,
}

impl Row for Reason {
    const COLUMNS: &'static [(&'static str, Column)] = &[("reason", Column::Text), ("records", Column::Integer)];
}

/// A reason without samples, for CSV.
#[derive(Serialize)]
struct ReasonRow<'a> {
    reason: &'a str,
    records: i64,
}

impl Row for ReasonRow<'_> {
    const COLUMNS: &'static [(&'static str, Column)] = Reason::COLUMNS;
}

impl Answer for Quality {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        let rows = self.reasons.iter().map(|reason| ReasonRow { reason: &reason.reason, records: reason.records });
        Some(csv::write(&rows.collect::<Vec<_>>()))
    }
}

/// A look at the quality.
pub(crate) struct Checked {
    bronze_version: Option<i64>,
    build_id: Option<String>,
    at: Moment,
    took: Duration,
    quality: Arc<Quality>,
}

impl Checked {
    fn is_current(&self, bronze_version: Option<i64>, build_id: Option<&str>) -> bool {
        let rests = || self.at.elapsed() < FRESH.max(self.took * REST);
        self.build_id.as_deref() == build_id && (self.bronze_version == bronze_version || rests())
    }
}

/// Rejects with samples, duplicates, corrections and test results; as CSV the reasons. Works before the first build, too.
/// Counted at most every 15 s while records come in.
#[utoipa::path(
    get, path = "/quality", tag = "operation",
    responses((status = 200, description = "The quality.", content((Quality = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn quality(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    asking.params.none_left(&[])?;
    let checked = checked(&api).await?;
    let build = checked.build_id.as_deref().unwrap_or_default();
    let state = format!("{build} {}", checked.quality.checked_at);
    let question = Question { state: &state, endpoint: "quality".to_owned(), query: String::new(), page: None };
    api.answers.answer(&asking, question, async { Ok(Arc::clone(&checked.quality)) }).await
}

/// The last look, or a new one where there is something new and the last one is old.
async fn checked(api: &Api) -> Result<Arc<Checked>, Trouble> {
    let mut held = api.checked.lock().await;
    let snapshot = api.loaded();
    let build_id = snapshot.as_ref().map(|snapshot| snapshot.build.build_id.clone());
    let bronze = api.lake.open_table(&TableId::bronze("events")).await?;
    let bronze_version = bronze.map(|table| table.version());
    if let Some(checked) = &*held
        && checked.is_current(bronze_version, build_id.as_deref())
    {
        return Ok(Arc::clone(checked));
    }
    let began = Moment::now();
    let quality = Arc::new(count(api, bronze_version, snapshot.as_deref()).await?);
    let checked = Checked { bronze_version, build_id, at: Moment::now(), took: began.elapsed(), quality };
    Ok(Arc::clone(held.insert(Arc::new(checked))))
}

async fn count(api: &Api, bronze_version: Option<i64>, snapshot: Option<&Snapshot>) -> Result<Quality, Trouble> {
    let mut quality = Quality {
        checked_at: Instant((api.settings.clock)()),
        bronze_version,
        records: 0,
        clean: 0,
        rejected: 0,
        duplicates: 0,
        reasons: Vec::new(),
        duplicates_by: Vec::new(),
        corrections: Vec::new(),
        view_corrections: Vec::new(),
        tests: snapshot.and_then(|snapshot| tests(&snapshot.build)),
    };
    if let Some(version) = bronze_version {
        let session = api.lake.session(&Reading::At([(TableId::bronze("events"), version)].into())).await?;
        let reader = Reader { engine: &api.engine, session: &session, limits: api.limits() };
        received(reader, &mut quality).await?;
    }
    quality.duplicates_by.push(DuplicateCount { name: "in_window", records: quality.duplicates });
    if let Some(snapshot) = snapshot {
        for Counter { name, count } in counters(api.reader(snapshot)).await? {
            match (name, count) {
                (TOTAL, _) => {}
                (LATE, Count::Times(records)) => quality.duplicates_by.push(DuplicateCount { name, records }),
                _ => quality.view_corrections.push(ViewCorrection { name, count }),
            }
        }
    }
    Ok(quality)
}

/// What the build's silver dropped and corrected.
async fn counters(reader: Reader<'_>) -> Result<Vec<Counter>, Trouble> {
    let mut sums: Vec<i64> = vec![0; Counter::names().count()];
    for batch in reader.collect(Query::plain(Counter::sql())).await? {
        for (sum, name) in sums.iter_mut().zip(Counter::names()) {
            *sum += Columns(&batch).integers(name)?.iter().flatten().sum::<i64>();
        }
    }
    Ok(Counter::of(&sums))
}

/// Counts the records of bronze.
async fn received(reader: Reader<'_>, quality: &mut Quality) -> Result<(), Trouble> {
    let sql = "select e.outcome, e.reason, e.corrections, count(*) as records from bronze.events e \
               group by e.outcome, e.reason, e.corrections";
    let mut reasons: BTreeMap<String, i64> = BTreeMap::new();
    let mut corrections: BTreeMap<String, i64> = BTreeMap::new();
    for batch in reader.collect(Query::plain(sql)).await? {
        let columns = Columns(&batch);
        let (outcomes, reason) = (columns.texts("outcome")?, columns.texts("reason")?);
        let (names, counts) = (columns.texts("corrections")?, columns.integers("records")?);
        for row in 0..batch.num_rows() {
            let count = counts.value(row);
            quality.records += count;
            match outcomes.value(row) {
                "clean" => quality.clean += count,
                "duplicate" => quality.duplicates += count,
                _ => {
                    quality.rejected += count;
                    *reasons.entry(text_at(&reason, row).unwrap_or("unknown").to_owned()).or_default() += count;
                }
            }
            for name in text_at(&names, row).unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
                *corrections.entry(name.to_owned()).or_default() += count;
            }
        }
    }
    let mut samples = samples::recent(reader).await?;
    quality.reasons = reasons
        .into_iter()
        .map(|(reason, records)| Reason { samples: samples.remove(&reason).unwrap_or_default(), reason, records })
        .collect();
    quality.reasons.sort_by_key(|reason| -reason.records);
    quality.corrections = corrections.into_iter().map(|(name, events)| CorrectionCount { name, events }).collect();
    quality.corrections.sort_by_key(|correction| -correction.events);
    Ok(())
}

/// What the build keeps of its tests.
fn tests(build: &Build) -> Option<Tests> {
    let results = serde_json::from_value(build.counts.get("tests")?.clone()).ok()?;
    Some(Tests { build_id: build.build_id.clone(), finished_at: Instant(build.finished_at), results })
}
