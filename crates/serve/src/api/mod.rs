//! The JSON API: `/api/v1/...`. All answers are about one published build at a time, and say the same as its tables of gold.
//!
//! ```text
//! request -> Asking (strict parameters, format, entity tags) -> Filter, Page -> Question
//!         -> Answers (kept by build and question) -> Snapshot (gold in memory) or silver (SQL on a runtime of its own)
//! ```

mod answer;
mod asking;
mod audit;
mod csv;
mod curve;
mod document;
mod drop_off;
mod facets;
mod filter;
mod library;
mod order;
mod overview;
mod paging;
mod problem_kinds;
mod quality;
mod query;
mod regions;
mod samples;
mod state;
mod status;
pub(crate) mod time;
mod top;
mod totals;
mod video;
mod videos;

pub use audit::Audited;
pub use document::document_route;
pub(crate) use filter::Filter;
pub use state::{Api, Settings};

use std::sync::Arc;

use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::{Kind, Problem};

/// Where all paths of the API begin.
const PREFIX: &str = "/api/v1";

/// The routes of the API, without a fallback, and what they say of themselves. The document has a route of its own,
/// [`document_route`], so that it can tell of others' routes, too.
pub fn router(api: Arc<Api>) -> (axum::Router, OpenApi) {
    let routes = OpenApiRouter::new()
        .routes(routes!(status::status))
        .routes(routes!(facets::facets))
        .routes(routes!(overview::overview))
        .routes(routes!(videos::videos))
        .routes(routes!(video::video))
        .routes(routes!(curve::curve))
        .routes(routes!(library::library))
        .routes(routes!(drop_off::drop_off))
        .routes(routes!(top::content))
        .routes(routes!(top::creators))
        .routes(routes!(top::genres))
        .routes(routes!(regions::regions))
        .routes(routes!(quality::quality))
        .routes(routes!(audit::audit))
        .routes(routes!(problem_kinds::problem_kind));
    let (router, document) =
        OpenApiRouter::with_openapi(document::base()).nest(PREFIX, routes).with_state(api).split_for_parts();
    let router = router.layer(CompressionLayer::new()).method_not_allowed_fallback(|| async {
        Problem::new(Kind::MethodNotAllowed, "this path is for reading: use GET or HEAD")
    });
    (router, document::complete(document))
}
