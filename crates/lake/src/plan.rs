//! From SQL to plans, for every crate that asks the engine.
//!
//! The engine's own functions are `async`: the compiler makes their code anew in each crate that waits for them, and with it that of the
//! whole planner, which took more time than the crate itself. What is behind a boxed future is made once, here.

#![allow(clippy::disallowed_methods, reason = "this is the one place for them")]

use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use datafusion::sql::parser::Statement;
use futures::FutureExt;
use futures::future::BoxFuture;

/// A query, planned, in the engine's own words for what is wrong with it.
type Planned<'a, T> = BoxFuture<'a, Result<T, DataFusionError>>;

/// Plans a statement; one that changes something does so.
///
/// # Errors
/// What the engine says of a statement that can't be read or planned.
#[inline(never)]
pub fn sql<'a>(session: &'a SessionContext, text: &'a str) -> Planned<'a, DataFrame> {
    session.sql(text).boxed()
}

/// As [`sql`], for the kinds of statements that are allowed.
///
/// # Errors
/// Those of [`sql`], and for a statement of another kind.
#[inline(never)]
pub fn sql_with<'a>(session: &'a SessionContext, text: &'a str, allowed: SQLOptions) -> Planned<'a, DataFrame> {
    session.sql_with_options(text, allowed).boxed()
}

/// Plans a statement and does nothing.
///
/// # Errors
/// Those of [`sql`].
#[inline(never)]
pub fn logical<'a>(state: &'a SessionState, text: &'a str) -> Planned<'a, LogicalPlan> {
    state.create_logical_plan(text).boxed()
}

/// As [`logical`], of a statement that was read before.
///
/// # Errors
/// Those of [`sql`].
#[inline(never)]
pub fn statement(state: &SessionState, statement: Statement) -> Planned<'_, LogicalPlan> {
    state.statement_to_plan(statement).boxed()
}
