//! The suite of the lake in a bucket of a real S3-compatible server, and what only a store can do. `cargo xtask s3` starts
//! a server and runs this; without one it fails.

#![allow(clippy::unwrap_used)]

#[path = "lake/changes.rs"]
mod changes;
#[path = "lake/landing.rs"]
mod landing;
#[path = "lake/processes.rs"]
mod processes;
#[path = "lake/refusals.rs"]
mod refusals;
#[path = "lake/sessions.rs"]
mod sessions;
#[path = "lake/support.rs"]
mod support;
#[path = "lake/upkeep.rs"]
mod upkeep;

#[path = "s3/answers.rs"]
mod answers;
#[path = "s3/http.rs"]
mod http;
#[path = "s3/leases.rs"]
mod leases;
#[path = "s3/proxy.rs"]
mod proxy;
#[path = "s3/refused.rs"]
mod refused;
