//! Who may send events: bearers of a token, where there are tokens, and browsers on pages of the origins that are named.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use subtle::ConstantTimeEq;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::ConfigError;
use crate::problem::{Kind, Problem};

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
const BEARER: &str = "Bearer ";
const ANY: &str = "*";

/// The rules, checked and ready.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    tokens: Vec<String>,
    origins: Vec<HeaderValue>,
    is_any_origin: bool,
}

impl Access {
    /// The rules of these tokens (none: everybody may) and origins (`*`: pages of any).
    pub(crate) fn new(tokens: &[String], origins: &[String]) -> Result<Self, ConfigError> {
        if tokens.iter().any(|token| token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(ConfigError::Token);
        }
        let is_any_origin = origins.iter().any(|origin| origin == ANY);
        let named = origins.iter().filter(|origin| *origin != ANY);
        let origins: Result<Vec<_>, _> = named.map(|origin| parse_origin(origin)).collect();
        Ok(Self { tokens: tokens.to_vec(), origins: origins?, is_any_origin })
    }

    /// Lets a request in, or says why not.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.check_origin(headers)?;
        self.check_token(headers)
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|value| value.strip_prefix(BEARER.as_bytes()));
        let Some(given) = given else {
            let detail = "this collector wants a token: send the header `Authorization: Bearer TOKEN`";
            return Err(Problem::new(Kind::Unauthorized, detail));
        };
        // All are looked at, so that the time taken tells nothing.
        let is_known = self.tokens.iter().fold(0, |known, token| known | token.as_bytes().ct_eq(given).unwrap_u8());
        if is_known == 1 {
            return Ok(());
        }
        Err(Problem::new(Kind::Unauthorized, "the token is none of this collector's (collector.tokens)"))
    }

    /// A browser sends text without asking first, so that a page of anybody could; hence the origin is checked here too.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
        if self.is_any_origin || self.origins.contains(origin) || is_own(origin, headers.get(header::HOST)) {
            return Ok(());
        }
        let detail = format!(
            "pages of {} may not send events here; name it in collector.cors_origins",
            String::from_utf8_lossy(origin.as_bytes())
        );
        Err(Problem::new(Kind::ForbiddenOrigin, detail))
    }

    /// What browsers are told of it.
    pub(crate) fn cors(&self) -> CorsLayer {
        let origins = match self.is_any_origin {
            true => AllowOrigin::any(),
            false => AllowOrigin::list(self.origins.iter().cloned()),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_ENCODING, header::CONTENT_TYPE])
            .expose_headers([header::RETRY_AFTER])
            .max_age(PREFLIGHT_AGE)
    }
}

/// An origin is a scheme, a host and perhaps a port, as a browser writes it.
fn parse_origin(text: &str) -> Result<HeaderValue, ConfigError> {
    let bad = || ConfigError::Origin { origin: text.to_owned() };
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(bad)?;
    if host.is_empty() || host.bytes().any(|byte| byte == b'/' || byte.is_ascii_uppercase() || !byte.is_ascii_graphic())
    {
        return Err(bad());
    }
    HeaderValue::from_str(text).map_err(|_| bad())
}

/// Whether a page of this very server sends.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.as_bytes();
    let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    origin.is_some() && origin == host.map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn strings(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn who_may_send() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [(&'a str, &'a str)], u16);
        const SITE: &[&str] = &["https://site.example"];
        let cases: [Case; 13] = [
            (&[], &[], &[], 200),
            (&["secret", "other"], &[], &[("authorization", "Bearer secret")], 200),
            (&["secret", "other"], &[], &[("authorization", "Bearer other")], 200),
            (&["secret"], &[], &[], 401),
            (&["secret"], &[], &[("authorization", "Bearer secre")], 401),
            (&["secret"], &[], &[("authorization", "Bearer secret ")], 401),
            (&["secret"], &[], &[("authorization", "Basic secret")], 401),
            (&[], &[], &[("origin", "https://evil.example"), ("host", "127.0.0.1:8080")], 403),
            (&[], &[], &[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")], 200),
            (&[], SITE, &[("origin", "https://site.example")], 200),
            (&[], SITE, &[("origin", "https://site.example.evil")], 403),
            (&[], SITE, &[("origin", "null")], 403),
            (&[], &["*"], &[("origin", "https://anybody.example")], 200),
        ];
        for (tokens, origins, headers, expected) in cases {
            let access = Access::new(&strings(tokens), &strings(origins)).unwrap();
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let status = access.check(&map).map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200);
            assert_eq!(status, expected, "{tokens:?} {origins:?} {headers:?}");
        }
    }

    #[test]
    fn rules_that_are_none() {
        for origin in ["site.example", "https://", "https://site.example/", "https://Site.example", "https://a b", ""] {
            let error = Access::new(&[], &strings(&[origin])).unwrap_err();
            assert!(error.to_string().contains("https://example.com"), "{error}");
        }
        for token in ["", "two words", "caf\u{e9}"] {
            assert!(Access::new(&strings(&[token]), &[]).is_err(), "{token:?}");
        }
    }
}
