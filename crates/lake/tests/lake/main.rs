//! The lake from outside: what others build on, and what must hold when things go wrong.

#![allow(clippy::unwrap_used)]

mod changes;
mod landing;
mod processes;
mod refusals;
mod sessions;
mod support;
mod upkeep;
