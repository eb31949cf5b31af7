//! What people and programs look at: the page and the JSON API over the published build.
//!
//! * `api`: `/api/v1/...`, described by its own OpenAPI document. Gold is held in memory, a snapshot a build (`gold`);
//!   what gold does not know is asked of silver by SQL (`silver`), on a runtime of its own.
//! * `page`: the dashboard, built from `web/` and embedded.
//!
//! What holds:
//!
//! * An answer is about one build as a whole, never about two. Its numbers are those of the tables: the same sums of the same rows.
//! * What a client sends is a parameter of a query, never a part of its text. What is not understood is refused by name.
//! * Memory is bounded: tables of gold up to a budget, answers up to a size, queries by the lake's own pool; what does not fit is
//!   read from the lake, or refused with what to do.

mod api;
mod gold;
mod page;
mod problem;
mod silver;

pub use api::{Api, Audited, Settings as ApiSettings, document_route, router};
pub use page::router as page_router;
