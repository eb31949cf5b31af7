//! What a client asks besides the path: parameters, which format it takes, and what it has already.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;

use super::query::Params;
use crate::problem::Problem;

/// In which format an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Json,
    Csv,
}

/// A request, without its path.
#[derive(Debug)]
pub(crate) struct Asking {
    /// The path below that of the API.
    pub(crate) path: String,
    /// The parameters.
    pub(crate) params: Params,
    /// The format preferred.
    pub(crate) format: Format,
    /// The entity tags that the client has, as sent.
    known: Vec<String>,
}

impl Asking {
    /// Whether the client has the answer with this entity tag.
    pub(crate) fn has(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        self.known
            .iter()
            .flat_map(|list| list.split(','))
            .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        Ok(Self {
            path: parts.uri.path().to_owned(),
            params: Params::parse(parts.uri.query())?,
            format: preferred(&parts.headers),
            known: known.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect(),
        })
    }
}

/// CSV where the client wants it more than JSON.
fn preferred(headers: &HeaderMap) -> Format {
    let accepts: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let quality = |kind: &str, subtype: &str| {
        // The most specific range decides.
        let wanted = [format!("{kind}/{subtype}"), format!("{kind}/*"), "*/*".to_owned()];
        let ranges = accepts.iter().flat_map(|list| list.split(',')).map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f64>().ok());
            (name, q.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0))
        });
        let ranges: Vec<(String, f64)> = ranges.collect();
        wanted.iter().find_map(|wanted| ranges.iter().find(|(name, _)| name == wanted)).map_or(0.0, |(_, q)| *q)
    };
    if quality("text", "csv") > quality("application", "json") { Format::Csv } else { Format::Json }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(name: header::HeaderName, values: &[&str]) -> Asking {
        let mut request = axum::http::Request::builder().uri("/x");
        for value in values {
            request = request.header(&name, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        futures::executor::block_on(Asking::from_request_parts(&mut parts, &())).expect("it is taken")
    }

    #[test]
    fn formats() {
        let cases: [(&[&str], Format); 9] = [
            (&[], Format::Json),
            (&["*/*"], Format::Json),
            (&["text/csv"], Format::Csv),
            (&["text/csv, application/json"], Format::Json),
            (&["text/csv;q=0.9, application/json;q=0.5"], Format::Csv),
            (&["application/json;q=0.1", "TEXT/CSV; q=0.2"], Format::Csv),
            (&["text/*, application/json;q=0.2"], Format::Csv),
            (&["text/csv;q=x, */*;q=0.1"], Format::Json),
            (&["text/html,application/xhtml+xml,*/*;q=0.8"], Format::Json),
        ];
        for (accept, format) in cases {
            assert_eq!(asking(header::ACCEPT, accept).format, format, "{accept:?}");
        }
    }

    #[test]
    fn tags() {
        let cases: [(&[&str], bool); 5] =
            [(&[], false), (&["\"a\""], true), (&["\"b\", W/\"a\""], true), (&["*"], true), (&["\"b\""], false)];
        for (sent, has) in cases {
            assert_eq!(asking(header::IF_NONE_MATCH, sent).has("W/\"a\""), has, "{sent:?}");
        }
    }
}
