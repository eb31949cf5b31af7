//! What people and programs look at: the page, the JSON API, live numbers, the collector of events.
//!
//! * `server`: how it starts, what every answer goes through, how it ends; `health`, `hosts` and `observe` beside it.
//! * `api`: `/api/v1/...`, described by its own OpenAPI document. Gold is held in memory, a snapshot a build (`gold`);
//!   what gold does not know is asked of silver by SQL (`silver`), on a runtime of its own.
//! * `live`: the newest seconds, from the ends of the topics.
//! * `collector`: takes events into the topic.
//! * `page`: the dashboard, built from `web/` and embedded.
//!
//! What holds:
//!
//! * An answer is about one build as a whole, never about two. Its numbers are those of the tables: the same sums of the same rows.
//! * What a client sends is a parameter of a query, never a part of its text. What is not understood is refused by name.
//! * Memory is bounded: tables of gold up to a budget, answers up to a size, queries by the lake's own pool; what does not fit is
//!   read from the lake, or refused with what to do.
//! * An event is acknowledged when it is durable in the topic, and not before.

mod api;
pub mod collector;
mod connections;
mod gold;
mod health;
mod hosts;
pub mod live;
pub mod observe;
mod page;
mod problem;
pub mod server;
mod silver;

pub use api::{Api, Audited, Settings as ApiSettings, document_route, router};
pub use page::router as page_router;
pub use server::{Names, ServeError, Server, Settings, Sources};
