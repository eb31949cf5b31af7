//! `audit`: every equation of the conservation law, both sides; then what silver dropped and corrected.

use std::fmt::Write;

use serde::Serialize;
use streamreel_audit::{Count, Counter, Equation, LogState, Names, Report, audit};
use streamreel_lake::Lake;
use streamreel_process::names;

use crate::draw::{fit, thousands};
use crate::failure::{Failure, Outcome};
use crate::home::{Home, runtime};

/// A report with its verdict.
#[derive(Serialize)]
pub struct Verdict {
    holds: bool,
    /// Why there are no equations of the topics; `None` where the log was checked.
    left_out: Option<String>,
    #[serde(flatten)]
    report: Report,
}

/// Audits the home.
pub fn run(home: &Home) -> Outcome {
    let lake = home.lake_to_read()?;
    let verdict = runtime()?.block_on(once(home, &lake))?;
    home.printer.result(&verdict, text)?;
    if verdict.report.equations.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!("there is nothing to audit yet: run `streamreel process` first")));
    }
    if verdict.holds { Ok(()) } else { Err(Failure::Negative) }
}

/// One audit. The log is part of it where there is one. A lake in the home belongs to the log there: without that, the audit does not
/// hold. A lake that is named by itself can be audited by itself.
pub async fn once(home: &Home, lake: &Lake) -> Outcome<Verdict> {
    let names = Names {
        received: names::VIDEO_EVENTS,
        clean: names::CLEAN_EVENTS,
        dead_letters: names::DEAD_LETTERS,
        group: names::GROUP,
        landed_from: names::LANDED_FROM,
    };
    let log = home.log_if_there()?;
    let report = audit(lake, log.as_deref(), names).await.map_err(|error| Failure::of_query(lake, error))?;
    let lacks_log = report.log == LogState::Missing && !home.is_lake_elsewhere();
    Ok(Verdict { holds: report.holds() && !lacks_log, left_out: left_out(home, &report.log), report })
}

/// Why the equations of the topics are left out, and what to do about it.
fn left_out(home: &Home, log: &LogState) -> Option<String> {
    let advice = match log {
        LogState::Checked => return None,
        LogState::Missing if home.is_lake_elsewhere() => {
            format!("there is none in {}; this is an audit of the lake alone", home.folder.display())
        }
        LogState::Missing => format!(
            "there is none in {}; bring it back, or name a Kafka with --log; --lake audits a lake alone",
            home.folder.display()
        ),
        LogState::Other { .. } => "use the lake of this log, or another --home".to_owned(),
    };
    Some(format!("{log}: {advice}"))
}

impl Verdict {
    /// Whether every equation holds, and the log is there that has to be.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let all = self.report.equations.len();
        let broken = self.report.equations.iter().filter(|e| !e.holds).count();
        let of_lake = if self.left_out.is_some() { " of the lake" } else { "" };
        match broken {
            0 => format!("all {all} equations{of_lake} hold"),
            broken => format!("{broken} of {all} equations{of_lake} DO NOT HOLD"),
        }
    }
}

/// An audit for people.
pub fn text(verdict: &Verdict) -> String {
    let mut text = String::new();
    for equation in &verdict.report.equations {
        let Equation { layer, scope, left, right, holds } = equation;
        let place = if scope.is_empty() { (*layer).to_owned() } else { format!("{layer} {scope}") };
        let sign = if *holds { "=" } else { "≠" };
        let _ = writeln!(text, "{} {:>13}  {}", fit(&place, 20), thousands(left.value), left.what);
        let _ = writeln!(text, "{:>18} {sign} {:>13}  {}", "", thousands(right.value), right.what);
    }
    if !verdict.report.counters.is_empty() {
        let _ = writeln!(text, "counters of silver: what it dropped and corrected");
    }
    for pair in verdict.report.counters.chunks(2) {
        let line: String = pair.iter().map(cell).collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "{}", verdict.line());
    if let Some(reason) = &verdict.left_out {
        let _ = writeln!(text, "the equations of the topics were LEFT OUT: {reason}");
    }
    text
}

/// A counter in half a line.
fn cell(Counter { name, count }: &Counter) -> String {
    let count = match count {
        Count::Times(times) => thousands(*times),
        Count::Seconds(seconds) => {
            let ms = (*seconds * 1000.0).round() as i64;
            format!("{}.{:03}", thousands(ms / 1000), ms % 1000)
        }
    };
    format!("{count:>14}  {}", fit(name, 23))
}
