//! From an answer to a response: written once as JSON or CSV, kept, and not sent where the client has it.

use std::sync::Arc;

use arrow_schema::ArrowError;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use moka::future::Cache;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::PREFIX;
use super::asking::{Asking, Format};
use super::paging::Page;
use crate::problem::{Kind, Problem};

/// What an endpoint answers.
pub(crate) trait Answer: Serialize {
    /// As CSV, where it is a list.
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        None
    }

    /// Where the next page begins.
    fn next_cursor(&self) -> Option<&str> {
        None
    }
}

impl<T: Answer> Answer for Arc<T> {
    fn csv(&self) -> Option<Result<Vec<u8>, ArrowError>> {
        (**self).csv()
    }

    fn next_cursor(&self) -> Option<&str> {
        (**self).next_cursor()
    }
}

/// What makes two answers the same: state, endpoint and question.
pub(crate) struct Question<'a> {
    /// What was read: a build, or versions of tables.
    pub(crate) state: &'a str,
    /// Endpoint, with its path parameters encoded.
    pub(crate) endpoint: String,
    /// The query string in its canonical form, without the page.
    pub(crate) query: String,
    /// The page, of a list.
    pub(crate) page: Option<Page>,
}

/// An answer, written.
struct Written {
    body: Bytes,
    next_cursor: Option<String>,
}

/// Answers that were given, up to so many bytes.
pub(crate) struct Answers(Cache<String, Arc<Written>>);

/// What keeping an answer costs besides its texts, in bytes.
const ENTRY_BYTES: usize = 256;

impl Answers {
    /// Keeps so many bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        let weigh = |key: &String, written: &Arc<Written>| {
            u32::try_from(key.len() + written.body.len() + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().weigher(weigh).max_capacity(bytes).build())
    }

    /// Forgets all, as nobody will ask for them again.
    pub(crate) fn forget(&self) {
        self.0.invalidate_all();
    }

    /// Answers: with what was kept, or with what `compute` gives. Requests for the same wait for one computation.
    pub(crate) async fn answer<T: Answer>(
        &self,
        asking: &Asking,
        question: Question<'_>,
        compute: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Response, Problem> {
        let format = asking.format;
        let page = question.page.map_or_else(String::new, |page| format!("{}+{}", page.offset, page.limit));
        let key = format!("{}\n{}\n{}\n{page}\n{format:?}", question.state, question.endpoint, question.query);
        let tag = format!("W/\"{:032x}\"", xxh3_128(format!("{}\n{key}", env!("CARGO_PKG_VERSION")).as_bytes()));
        if asking.has(&tag) {
            return Ok((StatusCode::NOT_MODIFIED, headers(&tag)).into_response());
        }
        let written = self.0.try_get_with(key, async { write(&compute.await?, format).map(Arc::new) });
        let written = written.await.map_err(|problem| (*problem).clone())?;
        let mut headers = headers(&tag);
        let media_type = match format {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8; header=present",
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let (Some(cursor), Some(page)) = (&written.next_cursor, question.page) {
            let and = if question.query.is_empty() { "" } else { "&" };
            let (path, query, limit) = (&asking.path, &question.query, page.limit);
            let link = format!("<{PREFIX}{path}?{query}{and}limit={limit}&cursor={cursor}>; rel=\"next\"");
            insert(&mut headers, header::LINK, &link);
        }
        Ok((headers, written.body.clone()).into_response())
    }
}

fn write<T: Answer>(answer: &T, format: Format) -> Result<Written, Problem> {
    let failed = |what: String| {
        tracing::error!(what, "an answer can't be written");
        Problem::new(Kind::Internal, "the answer can't be written; the server's log says why")
    };
    let body = match format {
        Format::Json => serde_json::to_vec(answer).map_err(|error| failed(error.to_string()))?,
        Format::Csv => {
            let no_list = || Problem::new(Kind::NotAcceptable, "this answer is no list; ask for application/json");
            answer.csv().ok_or_else(no_list)?.map_err(|error| failed(error.to_string()))?
        }
    };
    Ok(Written { body: body.into(), next_cursor: answer.next_cursor().map(str::to_owned) })
}

fn headers(tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers
}

/// Sets a header; what can be no header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
