//! What a client is told when it gets no answer: problem details as of RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Media type of a problem.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// Where problems are explained; `type` is this and the kind's name.
pub(crate) const TYPES: &str = "/api/v1/problems/";

/// What kind of problem. Its name is the end of `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadParameter,
    BadPath,
    NotFound,
    UnknownVideo,
    MethodNotAllowed,
    NotAcceptable,
    NoBuild,
    StaleCursor,
    UriTooLong,
    BadBody,
    Unauthorized,
    ForbiddenOrigin,
    ForbiddenHost,
    SlowBody,
    TooLarge,
    UnsupportedMedia,
    TooManyEvents,
    NotStored,
    Internal,
    Unreadable,
    Busy,
    OverLimit,
    Timeout,
}

impl Kind {
    /// All kinds, by status.
    pub(crate) const ALL: [Kind; 23] = [
        Kind::BadParameter,
        Kind::BadPath,
        Kind::NotFound,
        Kind::UnknownVideo,
        Kind::MethodNotAllowed,
        Kind::NotAcceptable,
        Kind::NoBuild,
        Kind::StaleCursor,
        Kind::UriTooLong,
        Kind::BadBody,
        Kind::Unauthorized,
        Kind::ForbiddenOrigin,
        Kind::ForbiddenHost,
        Kind::SlowBody,
        Kind::TooLarge,
        Kind::UnsupportedMedia,
        Kind::TooManyEvents,
        Kind::NotStored,
        Kind::Internal,
        Kind::Unreadable,
        Kind::Busy,
        Kind::OverLimit,
        Kind::Timeout,
    ];

    /// Name, status, title, and what to do about it.
    fn facts(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Kind::BadParameter => (
                "bad-parameter",
                400,
                "A query parameter is not right",
                "`parameter` names it and `detail` says what is taken; /api/v1/openapi.json lists them all.",
            ),
            Kind::BadPath => {
                ("bad-path", 400, "The path can't be read", "Encode ids as UTF-8 with percent escapes, a slash as %2F.")
            }
            Kind::NotFound => ("not-found", 404, "There is nothing here", "/api/v1/openapi.json lists what there is."),
            Kind::UnknownVideo => (
                "unknown-video",
                404,
                "No view of this video is in the published build",
                "/api/v1/videos lists the videos; views of a new one show after the next build.",
            ),
            Kind::MethodNotAllowed => {
                ("method-not-allowed", 405, "The path has no such method", "`Allow` names those that it has.")
            }
            Kind::NotAcceptable => (
                "not-acceptable",
                406,
                "This answer is no list, so it can't be CSV",
                "Ask with `Accept: application/json`.",
            ),
            Kind::NoBuild => (
                "no-build",
                409,
                "Nothing has been published yet",
                "Events are there to be seen after a build: run `streamreel build`, or `streamreel up`, which builds by itself.",
            ),
            Kind::StaleCursor => (
                "stale-cursor",
                410,
                "The list was built anew since this cursor was given",
                "Begin again without `cursor`, so that no row is missed or seen twice.",
            ),
            Kind::UriTooLong => {
                ("uri-too-long", 414, "The query string is too long", "Ask with fewer or shorter parameters.")
            }
            Kind::BadBody => (
                "bad-body",
                400,
                "The body holds no events",
                "Send a JSON array of events, or one event a line; /v1/events/schema says what an event is.",
            ),
            Kind::Unauthorized => (
                "unauthorized",
                401,
                "This collector wants a token",
                "Send `Authorization: Bearer TOKEN` with one of `collector.tokens`.",
            ),
            Kind::ForbiddenOrigin => (
                "forbidden-origin",
                403,
                "Pages of this origin may not send events",
                "Name the origin in the setting `collector.cors_origins`.",
            ),
            Kind::ForbiddenHost => (
                "forbidden-host",
                403,
                "This server does not go by this name",
                "Use its address or `localhost`, or name the host in the setting `serve.hosts`.",
            ),
            Kind::SlowBody => ("slow-body", 408, "The body took too long", "Send it again, or in smaller batches."),
            Kind::TooLarge => ("too-large", 413, "There is too much in one request", "Send smaller batches."),
            Kind::UnsupportedMedia => (
                "unsupported-media",
                415,
                "Bodies of this type or encoding are not read",
                "Send application/json, application/x-ndjson or text/plain, plain or with gzip.",
            ),
            Kind::TooManyEvents => (
                "too-many-events",
                429,
                "Events come faster than they can be stored",
                "Send the same again after the seconds that `Retry-After` says.",
            ),
            Kind::NotStored => (
                "not-stored",
                503,
                "The events could not be stored",
                "Send the same again after the seconds that `Retry-After` says; what was stored before is not counted twice.",
            ),
            Kind::Internal => (
                "internal",
                500,
                "The server failed",
                "The server's log says why; it is a fault of the server, not of the request.",
            ),
            Kind::Unreadable => (
                "unreadable",
                503,
                "The lake can't be read",
                "The server's log says which file; it tries again by itself.",
            ),
            Kind::Busy => {
                ("busy", 503, "Too many are served already", "Ask again after the seconds that `Retry-After` says.")
            }
            Kind::OverLimit => (
                "over-limit",
                503,
                "The answer needs more memory or rows than a query may use",
                "Narrow the dates or filters, or give the server more memory.",
            ),
            Kind::Timeout => (
                "timeout",
                504,
                "The query took longer than a query may",
                "Narrow the dates or filters, or ask again when the machine is less busy.",
            ),
        }
    }

    /// The end of `type`.
    pub(crate) fn name(self) -> &'static str {
        self.facts().0
    }

    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.facts().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A problem on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    detail: String,
    parameter: Option<String>,
    retry_after_s: Option<u32>,
    closes: bool,
}

impl Problem {
    /// A problem with what was wrong this time, and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), parameter: None, retry_after_s: None, closes: false }
    }

    /// A wrong query parameter.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { parameter: Some(name.into()), ..Self::new(Kind::BadParameter, detail) }
    }

    /// A video that the build has no view of.
    pub(crate) fn unknown_video(video_id: &str) -> Self {
        Self::new(Kind::UnknownVideo, format!("the published build has no view of video {video_id:?}"))
    }

    /// No build yet.
    pub(crate) fn no_build() -> Self {
        Self::new(Kind::NoBuild, Kind::NoBuild.facts().3)
    }

    /// When to come again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// What is left of the request is not read, so the connection can't be used again.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(crate) fn body(&self) -> ProblemDetails {
        let (name, status, title, _) = self.kind.facts();
        ProblemDetails {
            problem_type: format!("{TYPES}{name}"),
            title: title.to_owned(),
            status,
            detail: self.detail.clone(),
            parameter: self.parameter.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to a method that a path does not have.
pub(crate) async fn wrong_method() -> Problem {
    let detail = "this path is there, but not for that method; the header Allow names those that it has";
    Problem::new(Kind::MethodNotAllowed, detail)
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemDetails {
    /// Which kind: a path that explains it.
    #[serde(rename = "type")]
    #[schema(example = "/api/v1/problems/bad-parameter")]
    problem_type: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong this time, and what to do.
    detail: String,
    /// The query parameter that was wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
}

/// A kind of problem, explained.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemKind {
    /// The kind.
    #[serde(rename = "type")]
    problem_type: String,
    /// In words.
    title: &'static str,
    /// The HTTP status that comes with it.
    status: u16,
    /// What to do about it.
    remedy: &'static str,
}

/// The kind of this name.
pub(crate) fn explain(name: &str) -> Option<ProblemKind> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
    let (name, status, title, remedy) = kind.facts();
    Some(ProblemKind { problem_type: format!("{TYPES}{name}"), title, status, remedy })
}
