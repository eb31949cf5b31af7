//! The API over a small lake that is simulated, processed and built here, asked through its router.

mod curves;
mod document;
mod errors;
mod http;
mod lists;
mod numbers;
mod operation;
mod support;
