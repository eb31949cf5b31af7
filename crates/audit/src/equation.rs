//! An equation and the report of them all.

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

/// Every equation, with the build whose silver and gold were looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The published build; `None` before the first.
    pub build_id: Option<String>,
    /// All equations.
    pub equations: Vec<Equation>,
    /// What that build's silver dropped and corrected; empty before the first.
    pub counters: Vec<Counter>,
}

impl Report {
    /// Whether all equations hold, and there are any.
    pub fn holds(&self) -> bool {
        !self.equations.is_empty() && self.equations.iter().all(|e| e.holds)
    }

    /// Adds an equation of two numbers.
    pub(crate) fn add(&mut self, layer: &'static str, scope: impl Into<String>, left: (&str, i64), right: (&str, i64)) {
        let side = |(what, value): (&str, i64)| Side { what: what.to_owned(), value };
        let holds = left.1 == right.1;
        self.equations.push(Equation { layer, scope: scope.into(), left: side(left), right: side(right), holds });
    }
}
