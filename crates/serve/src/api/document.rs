//! The OpenAPI document: made from the handlers, completed with what is the same everywhere, and served.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::response::{Response as ResponseDoc, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::PREFIX;
use super::asking::Asking;
use super::filter::MOST_VALUES;
use super::problem_kinds::PATH as PROBLEMS;
use super::query::LONGEST_VALUE;
use crate::problem::{MEDIA_TYPE, Problem, ProblemDetails};

/// What the document says about the API as a whole.
const ABOUT: &str = "What viewers do with videos: the numbers of the published build, as in the tables of gold. \
    All times are UTC; `*_s` are seconds, `*_percentage` and `avg_retention` 0 to 100, `*_rate` and `*_ratio` from 0, \
    null is unknown. Answers carry an `ETag` (send it back as `If-None-Match`); lists can be had as CSV with `Accept: text/csv`. \
    A parameter that is unknown or given twice where it should be once is refused, never ignored.";

/// The document without paths.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new().title("StreamReel").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    OpenApiBuilder::new().info(info.build()).build()
}

/// Adds the answers that every operation can give.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        if let Some(operation) = &mut item.get {
            complete_operation(path, operation);
        }
    }
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemDetails::name().into_owned(), ProblemDetails::schema());
    document
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |name: &str| parameters.iter().any(|parameter| parameter.name == name);
    let mut answers = vec![("400", "A parameter is unknown or wrong; `parameter` names it.")];
    if has("cursor") {
        answers.push(("410", "The cursor is of an earlier build: begin again without."));
    }
    if path != PROBLEMS {
        answers.extend([
            ("406", "CSV was asked for, and this answer is no list."),
            ("409", "Nothing has been published yet."),
            ("414", "The query string is too long."),
            ("500", "The server failed."),
            ("503", "Too much at once, or too much for one query."),
            ("504", "The query took too long."),
        ]);
    }
    for (status, description) in answers {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
    if path != PROBLEMS {
        let same = ResponseBuilder::new().description("The client's copy is still right.").build();
        operation.responses.responses.entry("304".to_owned()).or_insert(RefOr::T(same));
    }
}

fn problem(description: &str) -> ResponseDoc {
    let schema = Ref::from_schema_name(ProblemDetails::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, content).build()
}

/// A query parameter that may come once.
pub(crate) fn parameter(name: &str, description: &str, schema: impl Into<RefOr<Schema>>) -> Parameter {
    optional(name, description).schema(Some(schema)).build()
}

/// A query parameter that may be repeated: `name=a&name=b`.
pub(crate) fn repeatable(name: &str, description: &str) -> Parameter {
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(LONGEST_VALUE));
    let values = ArrayBuilder::new().items(value).max_items(Some(MOST_VALUES));
    optional(name, description).schema(Some(values)).style(Some(ParameterStyle::Form)).explode(Some(true)).build()
}

fn optional(name: &str, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
}

/// Text.
pub(crate) fn text(format: Option<SchemaFormat>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).format(format).build().into()
}

/// A whole number in a range, with its default.
pub(crate) fn integer(least: usize, most: usize, usual: usize) -> Schema {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least as f64)).maximum(Some(most as f64));
    schema.default(Some(usual.into())).build().into()
}

/// One of some words, with the default where there is one.
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>, usual: Option<&str>) -> Schema {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    schema.default(usual.map(Into::into)).build().into()
}

/// A router that serves the document, which then has this route, too.
pub fn document_route(document: OpenApi) -> axum::Router {
    let own = OpenApiRouter::<Arc<Document>>::new().nest(PREFIX, OpenApiRouter::new().routes(routes!(openapi)));
    let (router, paths) = own.split_for_parts();
    let paths = complete(paths);
    let mut document = document;
    document.merge(paths);
    // The document is made of maps and text: nothing in it can fail to be written.
    let text = document.to_json().unwrap_or_default();
    let tag = format!("W/\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(text.as_bytes()));
    router.with_state(Arc::new(Document { text: text.into(), tag }))
}

/// The document as it is served.
struct Document {
    text: Bytes,
    tag: String,
}

/// This document (OpenAPI 3.1), generated from the code.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses((status = 200, description = "The document.", body = Object)))]
async fn openapi(State(document): State<Arc<Document>>, asking: Asking) -> Result<Response, Problem> {
    asking.params.none_left(&[])?;
    let headers = [(header::ETAG, document.tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if asking.has(&document.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, [(header::CONTENT_TYPE, "application/json")], document.text.clone()).into_response())
}
