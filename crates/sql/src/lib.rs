//! The SQL endpoint: PostgreSQL's wire protocol, read-only, over the tables of the lake.
//!
//! psql, drivers and BI tools connect to [`Server`] as they would to PostgreSQL. Every statement reads the published
//! build (`bronze` its newest state); a transaction reads the versions of its first statement. Nothing can be written,
//! except temporary tables, which live and die with their session.
//!
//! The parts, from the socket inwards:
//!
//! * `server`, `opening`, `auth`, `users`, `wire`, `codec`: sockets, TLS, passwords, messages and their limits.
//! * `connection`, `simple`, `extended`, `deliver`: the two protocols, statement by statement, and answers on their way out;
//!   `failure`, `translate`: those that say no.
//! * `session`, `commands`, `transaction`, `variables`, `temporary`: what a client has on this side, and what changes it.
//! * `bounds`, `parts`, `statement`, `adapt`, `columns`, `prepare`: text to something that may run, refused before it can do harm.
//! * `engine`, `memory`, `amplify`, `yields`, `rows`, `interrupt`: queries on a runtime of their own, with a deadline, a bound on memory and
//!   a way to stop them.
//! * `snapshot`, `catalog`, `listing`, `information`, `functions`: the tables and what clients ask about them.

mod adapt;
mod amplify;
mod auth;
mod bounds;
mod catalog;
mod codec;
mod columns;
mod commands;
mod connection;
mod deliver;
mod engine;
mod error;
mod extended;
mod failure;
mod functions;
mod information;
mod interrupt;
mod listing;
mod memory;
mod opening;
mod parts;
mod prepare;
mod rows;
mod server;
mod session;
mod settings;
mod simple;
mod snapshot;
mod statement;
mod temporary;
mod transaction;
mod translate;
mod users;
mod variables;
mod wire;
mod yields;

pub use error::{Error, Result};
pub use server::Server;
pub use settings::{Settings, Tls, User};
