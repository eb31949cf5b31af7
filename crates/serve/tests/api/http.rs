//! Around the numbers: entity tags, CSV, compression, methods.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use super::support::{ODD_VIDEO, csv_rows, encode, with_shared};

fn paths() -> Vec<String> {
    let odd = encode(ODD_VIDEO);
    let mut paths: Vec<String> =
        ["status", "facets", "overview", "videos", "top/content", "regions", "quality", "audit", "openapi.json"]
            .map(|path| format!("/api/v1/{path}"))
            .to_vec();
    paths.extend(["", "/curve", "/library", "/drop-off"].map(|of| format!("/api/v1/videos/{odd}{of}?device=tv")));
    paths
}

#[test]
fn known_answers_are_not_sent_again() {
    with_shared(async |shared| {
        let mut tags = Vec::new();
        for path in paths() {
            let first = shared.served.get(&path).await;
            assert_eq!(first.status, StatusCode::OK, "{path}: {}", first.text());
            assert_eq!(first.header("cache-control"), "no-cache", "{path}");
            assert_eq!(first.header("content-type"), "application/json", "{path}");
            let tag = first.header("etag").to_owned();
            let again = shared.served.get_with(&path, &[("if-none-match", &tag)]).await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
            assert_eq!(again.header("etag"), tag, "{path}");
            let other = shared.served.get_with(&path, &[("if-none-match", "\"another\"")]).await;
            assert_eq!((other.status, other.body), (StatusCode::OK, first.body), "{path}");
            tags.push(tag);
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), paths().len(), "a tag for each");
    });
}

#[test]
fn tags_follow_what_is_asked_not_how() {
    with_shared(async |shared| {
        let tag = async |query: &str| {
            let reply = shared.served.get(&format!("/api/v1/overview?{query}")).await;
            reply.header("etag").to_owned()
        };
        assert_eq!(tag("region=US&region=CH").await, tag("&region=CH&region=US&region=U%53").await);
        assert_ne!(tag("region=US").await, tag("region=CH").await);
        let as_csv = shared.served.get_with("/api/v1/overview", &[("accept", "text/csv")]).await;
        assert_ne!(as_csv.header("etag"), tag("").await);
        assert_eq!(as_csv.header("vary"), "accept");
    });
}

fn cell(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Numbers are compared as numbers: 1.0 may be written 1.
fn same(a: &Option<String>, b: &Option<String>) -> bool {
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    // The parser of JSON may be off by the last bit.
    let close = |a: f64, b: f64| (a - b).abs() <= 4.0 * f64::EPSILON * a.abs();
    a == b || matches!((number(a), number(b)), (Some(a), Some(b)) if close(a, b))
}

#[test]
fn csv_is_the_same_list() {
    with_shared(async |shared| {
        let odd = encode(ODD_VIDEO);
        let cases = [
            ("/videos?limit=1000".to_owned(), "items"),
            ("/videos?search=nothing+like+it".to_owned(), "items"),
            ("/videos?limit=3&sort=title".to_owned(), "items"),
            ("/top/content?period=day&date=2026-01-06".to_owned(), "items"),
            ("/top/creators".to_owned(), "items"),
            ("/top/genres?period=day&date=2031-01-01".to_owned(), "items"),
            ("/overview".to_owned(), "days"),
            ("/regions".to_owned(), "regions"),
            (format!("/videos/{odd}/drop-off"), "buckets"),
            ("/quality".to_owned(), "reasons"),
        ];
        for (path, list) in cases {
            let path = format!("/api/v1{path}");
            let (json, csv) =
                (shared.served.get(&path).await, shared.served.get_with(&path, &[("accept", "text/csv")]).await);
            assert_eq!(csv.status, StatusCode::OK, "{path}: {}", csv.text());
            assert!(csv.header("content-type").starts_with("text/csv"), "{path}");
            assert_eq!(csv.header("link"), json.header("link"), "{path}");
            let json = json.json();
            let (items, rows) = (json[list].as_array().expect("a list"), csv_rows(&csv.text()));
            assert_eq!(rows.len(), items.len(), "{path}");
            assert!(!csv.text().is_empty(), "{path} has a header");
            for (row, item) in rows.iter().zip(items) {
                let item = item.as_object().expect("an object");
                let names: Vec<&String> =
                    item.iter().filter(|(_, value)| !value.is_array()).map(|(name, _)| name).collect();
                assert_eq!(row.iter().map(|(name, _)| name).collect::<Vec<_>>(), names, "{path}");
                for (name, value) in row {
                    assert!(same(value, &cell(&item[name])), "{path} {name}: {value:?} and {}", item[name]);
                }
            }
        }
    });
}

#[test]
fn csv_of_curves() {
    with_shared(async |shared| {
        let path = format!("/api/v1/videos/{}/curve", encode(ODD_VIDEO));
        let (json, csv) =
            (shared.served.get(&path).await.json(), shared.served.get_with(&path, &[("accept", "text/csv")]).await);
        let rows = csv_rows(&csv.text());
        assert_eq!(rows.len(), json["plays"].as_array().map_or(0, Vec::len));
        for (second, row) in rows.iter().enumerate() {
            let expected = ["plays", "watched", "survived"].map(|name| (name.to_owned(), cell(&json[name][second])));
            assert_eq!(row[0], ("second_s".to_owned(), Some(second.to_string())));
            assert_eq!(row[1], ("views".to_owned(), cell(&json["views"])));
            assert_eq!(row[2..], expected);
        }
        let path = path.replace("/curve", "/library");
        let library = shared.served.get_with(&path, &[("accept", "text/csv")]).await;
        assert_eq!(csv_rows(&library.text()).len(), 101);
        let facets = shared.served.get_with("/api/v1/facets", &[("accept", "text/csv")]).await;
        assert!(csv_rows(&facets.text()).iter().any(|row| row[0].1.as_deref() == Some("user.plan")));
        for path in ["/api/v1/status", "/api/v1/audit"] {
            let reply = shared.served.get_with(path, &[("accept", "text/csv")]).await;
            assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE, "{path}");
            assert_eq!(reply.json()["type"], "/api/v1/problems/not-acceptable");
        }
    });
}

#[test]
fn head_and_gzip() {
    with_shared(async |shared| {
        let head = Request::head("/api/v1/videos").body(Body::empty()).expect("a request");
        let head = shared.served.send(head).await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        assert_ne!(head.header("etag"), "");
        let plain = shared.served.get("/api/v1/videos").await;
        let packed = shared.served.get_with("/api/v1/videos", &[("accept-encoding", "gzip")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len());
    });
}
