//! The page: built assets, part of the program. Whatever is no asset and no API is the page itself, which keeps its state in
//! the address.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, File, include_dir};
use tower_http::compression::CompressionLayer;

use crate::problem::{Kind, Problem};

static PAGE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/page");

const INDEX: &str = "index.html";
/// Folder of files whose names change with their content.
const ASSETS: &str = "assets/";
/// Paths that belong to programs: what is not found below them is no page.
const OTHERS: [&str; 2] = ["api", "v1"];
/// The page loads nothing from elsewhere, and nobody may put it into a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page as the fallback of a router; with gzip.
pub fn router() -> axum::Router {
    axum::Router::new().fallback(page).layer(CompressionLayer::new())
}

async fn page(request: Request) -> Response {
    answer(request.method(), request.uri().path(), request.headers())
}

fn answer(method: &Method, path: &str, asked: &HeaderMap) -> Response {
    let path = path.trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    if OTHERS.contains(&first) {
        let detail = format!("there is no /{}; /api/v1/openapi.json lists what there is", shown(path));
        return Problem::new(Kind::NotFound, detail).into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        let refused = Problem::new(Kind::MethodNotAllowed, "the page is for reading: use GET or HEAD");
        return ([(header::ALLOW, "GET, HEAD")], refused).into_response();
    }
    // Names of embedded files are compared as they are: no path leads out of them.
    match PAGE.get_file(path) {
        Some(file) => send(file, asked),
        None if path.starts_with(ASSETS) => {
            Problem::new(Kind::NotFound, format!("there is no asset /{}; reload the page", shown(path))).into_response()
        }
        None => match PAGE.get_file(INDEX) {
            Some(index) => send(index, asked),
            None => Problem::new(Kind::NotFound, "this program was built without its page").into_response(),
        },
    }
}

fn send(file: &'static File<'static>, asked: &HeaderMap) -> Response {
    let name = file.path().to_string_lossy();
    let tag = format!("W/\"{:032x}\"", xxhash_rust::xxh3::xxh3_128(file.contents()));
    let mut headers = HeaderMap::new();
    let is_asset = name.starts_with(ASSETS);
    let caching = if is_asset { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fixed = [
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, value);
    }
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|list| list.split(',')).any(|known| known.trim() == tag || known.trim() == "*") {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&name)));
    (headers, file.contents()).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Response {
        answer(&Method::GET, path, &HeaderMap::new())
    }

    #[test]
    fn what_is_where() {
        let cases = [
            ("/", StatusCode::OK),
            ("/index.html", StatusCode::OK),
            ("/video/v0001?from=2026-01-01", StatusCode::OK),
            ("/../../etc/passwd", StatusCode::OK),
            ("//", StatusCode::OK),
            ("/assets/../index.html", StatusCode::NOT_FOUND),
            ("/assets/gone.js", StatusCode::NOT_FOUND),
            ("/assets/", StatusCode::NOT_FOUND),
            ("/api/v1/nothing", StatusCode::NOT_FOUND),
            ("/api", StatusCode::NOT_FOUND),
            ("/v1/nothing", StatusCode::NOT_FOUND),
        ];
        for (path, status) in cases {
            let response = get(path);
            assert_eq!(response.status(), status, "{path}");
            if status == StatusCode::OK {
                assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
                assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
                assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
            }
        }
    }

    #[test]
    fn known_pages_are_not_sent_again() {
        let tag = get("/").headers()[header::ETAG].clone();
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, tag);
        assert_eq!(answer(&Method::GET, "/any/view", &asked).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn pages_are_for_reading() {
        let response = answer(&Method::POST, "/", &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
    }
}
