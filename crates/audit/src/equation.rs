//! An equation and the report of them all.

use std::fmt;

use serde::Serialize;

use crate::Counter;

/// One side of an equation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What it is.
    pub what: String,
    /// How much: records, rows, or microseconds.
    pub value: i64,
}

/// Two numbers from different places that must be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Equation {
    /// `topics`, `bronze`, `silver` or `gold`.
    pub layer: &'static str,
    /// Which part of the layer: a partition, or empty.
    pub scope: String,
    /// The left side.
    pub left: Side,
    /// The right side.
    pub right: Side,
    /// Whether they are the same.
    pub holds: bool,
}

/// Whether the log was part of the audit. Without it no equation of the topics can be written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LogState {
    /// It was, and bronze was landed from it.
    Checked,
    /// There was none.
    #[default]
    Missing,
    /// Bronze was landed from another one.
    Other {
        /// The first topic of which that shows.
        topic: String,
        /// The identity of the log that bronze was landed from.
        has: String,
        /// That of the log given; `None` when it has no such topic.
        given: Option<String>,
    },
}

impl fmt::Display for LogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checked => write!(f, "the log was checked"),
            Self::Missing => write!(f, "the log is missing"),
            Self::Other { topic, has, given } => {
                write!(f, "the lake was landed from topic {topic} of log {has}, and this is ")?;
                match given {
                    Some(given) => write!(f, "log {given}"),
                    None => write!(f, "a log without that topic"),
                }
            }
        }
    }
}

/// Every equation, with the build whose silver and gold were looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The published build; `None` before the first.
    pub build_id: Option<String>,
    /// Whether the log was looked at, too.
    pub log: LogState,
    /// All equations.
    pub equations: Vec<Equation>,
    /// What that build's silver dropped and corrected; empty before the first.
    pub counters: Vec<Counter>,
}

impl Report {
    /// Whether all equations hold, and there are any, and the log is not another than that of the lake.
    pub fn holds(&self) -> bool {
        let is_other = matches!(self.log, LogState::Other { .. });
        !is_other && !self.equations.is_empty() && self.equations.iter().all(|e| e.holds)
    }

    /// Adds an equation of two numbers.
    pub(crate) fn add(&mut self, layer: &'static str, scope: impl Into<String>, left: (&str, i64), right: (&str, i64)) {
        let side = |(what, value): (&str, i64)| Side { what: what.to_owned(), value };
        let holds = left.1 == right.1;
        self.equations.push(Equation { layer, scope: scope.into(), left: side(left), right: side(right), holds });
    }
}
