//! What people look at: the page, the JSON API, live numbers, the collector of events.

pub mod collector;
mod connections;
mod health;
pub mod live;
pub mod observe;
mod refusal;
pub mod server;

pub use server::{Names, ServeError, Server, Settings, Sources};
