//! `GET /audit`: the conservation law, checked in the background when there is something new.

use std::sync::{Arc, Weak};
use std::time::Instant as Moment;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use streamreel_audit::{Equation, LogState, Report, Side};
use streamreel_lake::TableId;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::state::Api;
use super::time::Instant;
use crate::live::{AuditState, Facts};
use crate::problem::{Kind, Problem};
use crate::silver::Trouble;

/// After an audit there is rest for so many times what it took, so that it never takes more than a tenth of the machine.
const REST: u32 = 10;

impl Facts for Api {
    fn title(&self, video_id: &str) -> Option<Arc<str>> {
        Api::title(self, video_id)
    }

    fn audit(&self) -> Option<AuditState> {
        let last = self.audited()?;
        let equations = &last.report.equations;
        // Of an empty lake there is nothing to say yet.
        (!equations.is_empty()).then(|| AuditState {
            holds: last.report.holds(),
            equations: equations.len(),
            failed: equations.iter().filter(|equation| !equation.holds).count(),
            checked_at: last.checked_at,
        })
    }
}

/// An audit that was done.
#[derive(Debug)]
pub struct Audited {
    /// Every equation.
    pub report: Report,
    /// When, microseconds since 1970.
    pub checked_at: i64,
}

/// The last audit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditAnswer {
    /// Whether every equation holds, and the log is not another than that of the lake.
    holds: bool,
    /// Why there are no equations of the topics; null where the log was checked.
    left_out: Option<String>,
    /// When it was checked.
    checked_at: Instant,
    /// The build whose silver and gold were looked at; null before the first.
    build_id: Option<String>,
    /// The equations, in the order of the flow.
    equations: Vec<EquationAnswer>,
}

/// Two numbers from different places that must be the same.
#[derive(Debug, Serialize, ToSchema)]
struct EquationAnswer {
    /// What must be equal, in words.
    name: String,
    /// `topics`, `bronze`, `silver` or `gold`.
    layer: &'static str,
    /// Which part of the layer: a partition, or empty.
    scope: String,
    /// Whether they are the same.
    holds: bool,
    /// The left side.
    left: SideAnswer,
    /// The right side.
    right: SideAnswer,
    /// By how much they differ; null where they do not.
    detail: Option<String>,
}

/// One side.
#[derive(Debug, Serialize, ToSchema)]
struct SideAnswer {
    /// What it is.
    what: String,
    /// How much: records, rows, or microseconds.
    value: i64,
}

impl Answer for AuditAnswer {}

/// The conservation law: nothing that was received is lost, nothing counts twice. Checked at most every 15 s when something is new.
#[utoipa::path(get, path = "/audit", tag = "operation", responses((status = 200, description = "The last audit.", body = AuditAnswer)))]
pub(crate) async fn audit(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    asking.params.none_left(&[])?;
    let mut audited = api.audited.subscribe();
    let first = tokio::time::timeout(api.settings.query_timeout, audited.wait_for(Option::is_some)).await;
    let not_yet = || Problem::new(Kind::Busy, "the first audit is under way").retry_after(5);
    let last = first.map_err(|_| not_yet())?.map_err(|_| not_yet())?.clone().ok_or_else(not_yet)?;
    let state = format!("{} {}", last.report.build_id.as_deref().unwrap_or_default(), last.checked_at);
    let question = Question { state: &state, endpoint: "audit".to_owned(), query: String::new(), page: None };
    api.answers.answer(&asking, question, async { Ok(of(&last)) }).await
}

fn of(audited: &Audited) -> AuditAnswer {
    let Report { log, build_id, equations, .. } = &audited.report;
    AuditAnswer {
        holds: audited.report.holds(),
        left_out: (*log != LogState::Checked).then(|| log.to_string()),
        checked_at: Instant(audited.checked_at),
        build_id: build_id.clone(),
        equations: equations.iter().map(equation).collect(),
    }
}

fn equation(equation: &Equation) -> EquationAnswer {
    let Equation { layer, scope, left, right, holds } = equation;
    let side = |side: &Side| SideAnswer { what: side.what.clone(), value: side.value };
    let detail = match left.value.saturating_sub(right.value) {
        0 => None,
        more if more > 0 => Some(format!("the left side is {more} more than the right")),
        less => Some(format!("the left side is {} less than the right", less.unsigned_abs())),
    };
    EquationAnswer {
        name: format!("{} = {}", left.what, right.what),
        layer,
        scope: scope.clone(),
        holds: *holds,
        left: side(left),
        right: side(right),
        detail,
    }
}

/// Audits whenever build or bronze are new, with rest in between, until nobody needs the API any more.
pub(crate) async fn follow(api: Weak<Api>) {
    let mut seen = None;
    loop {
        let rest = {
            let Some(api) = api.upgrade() else { return };
            let began = Moment::now();
            match once(&api, seen.as_ref()).await {
                Ok(now) => seen = Some(now),
                Err(trouble) => tracing::error!(%trouble, "the audit can't be done"),
            }
            api.settings.audit_rest.max(began.elapsed() * REST)
        };
        tokio::time::sleep(rest).await;
    }
}

/// Versions of `gold.builds` and of bronze that an audit has looked at.
type Seen = [Option<i64>; 2];

async fn once(api: &Api, seen: Option<&Seen>) -> Result<Seen, Trouble> {
    let mut now = [None; 2];
    for (version, id) in now.iter_mut().zip([TableId::gold("builds"), TableId::bronze("events")]) {
        *version = api.lake.open_table(&id).await?.map(|table| table.version());
    }
    if seen == Some(&now) {
        return Ok(now);
    }
    let report = streamreel_audit::audit(&api.lake, api.log.as_deref(), api.names).await;
    let report = report.map_err(|error| Trouble::Gone(error.to_string()))?;
    if !report.holds() && !report.equations.is_empty() {
        let failed = report.equations.iter().filter(|equation| !equation.holds).count();
        tracing::error!(failed, log = %report.log, "the audit does not hold");
    }
    api.audited.send_replace(Some(Arc::new(Audited { report, checked_at: (api.settings.clock)() })));
    Ok(now)
}
