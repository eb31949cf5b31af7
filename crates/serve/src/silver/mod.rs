//! What gold does not know is asked of silver, at exactly the versions of the published build.
//!
//! Queries run on a runtime of their own, a few at a time, with limits on time, memory and rows: see [`Engine`].

mod columns;
mod engine;
mod facts;
mod segments;
mod timeline;
mod views;

pub(crate) use columns::{Columns, text_at};
pub(crate) use engine::{Engine, Limits, Query, Reader, Trouble, Values};
pub(crate) use facts::{Facts, SUMS, add_facts};
pub(crate) use segments::{Curves, watched_curves};
pub(crate) use timeline::{buckets, seeks_after_half};
pub(crate) use views::{facts, viewers};
