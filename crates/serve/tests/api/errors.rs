//! Whatever is sent: an answer, or a problem that names what was wrong. Never a failure of the server.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use super::support::{ODD_VIDEO, Reply, encode, with_shared};

fn assert_problem(reply: &Reply, status: u16, kind: &str, parameter: Option<&str>, what: &str) {
    assert_eq!(reply.status.as_u16(), status, "{what}: {}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
    let problem = reply.json();
    assert_eq!(problem["type"], format!("/api/v1/problems/{kind}"), "{what}");
    assert_eq!(problem["status"], status, "{what}");
    assert_eq!(problem["parameter"].as_str(), parameter, "{what}: {problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{what}: {problem}");
    assert!(problem["title"].is_string(), "{what}");
}

#[test]
fn bad_parameters_are_named() {
    with_shared(async |shared| {
        let odd = encode(ODD_VIDEO);
        let long = "x".repeat(2000);
        let many = (0..101).map(|n| format!("creator=c{n}")).collect::<Vec<_>>().join("&");
        let cases: Vec<(String, &str)> = [
            ("overview?from=2026-13-01", "from"),
            ("overview?from=2026-01-02&to=2026-01-01", "from"),
            ("overview?from=0001-01-01&to=9999-12-31", "from"),
            ("overview?to=now", "to"),
            ("overview?to=2026-01-01&to=2026-01-01", "to"),
            ("overview?user.id=x", "user.id"),
            ("overview?user.shoe_size=44", "user.shoe_size"),
            ("overview?limit=5", "limit"),
            ("overview?REGION=US", "REGION"),
            ("overview?region=%ff%fe", "region"),
            ("overview?region=%zz", "region"),
            ("overview?region=%", "region"),
            ("overview?%ff=1", "%ff"),
            ("overview?=1", ""),
            ("overview?video=", "video"),
            ("videos?sort=rank", "sort"),
            ("videos?sort=views&sort=views", "sort"),
            ("videos?order=up", "order"),
            ("videos?limit=0", "limit"),
            ("videos?limit=1001", "limit"),
            ("videos?limit=1e3", "limit"),
            ("videos?limit=%2B5", "limit"),
            ("videos?cursor=abc", "cursor"),
            ("videos?cursor=", "cursor"),
            ("videos?search=a&search=b", "search"),
            ("top/content?region=US", "region"),
            ("top/content?date=2026-01-06", "date"),
            ("top/content?period=week", "period"),
            ("top/content?period=day&date=today", "date"),
            ("top/genres?sort=title", "sort"),
            ("status?x=1", "x"),
            ("facets?from=2026-01-01", "from"),
            ("quality?limit=3", "limit"),
            ("audit?fresh", "fresh"),
            ("openapi.json?v=2", "v"),
            ("problems/timeout?lang=de", "lang"),
        ]
        .into_iter()
        .map(|(path, parameter)| (path.to_owned(), parameter))
        .chain([
            (format!("videos/{odd}?sort=views"), "sort"),
            (format!("videos/{odd}/curve?second=5"), "second"),
            (format!("videos/{odd}/library?percentages=5"), "percentages"),
            (format!("videos/{odd}/drop-off?bucket_s=1"), "bucket_s"),
            (format!("videos?search={long}"), "search"),
            (format!("videos?{many}"), "creator"),
        ])
        .collect();
        for (path, parameter) in cases {
            let reply = shared.served.get(&format!("/api/v1/{path}")).await;
            assert_problem(&reply, 400, "bad-parameter", Some(parameter), &path);
        }
    });
}

#[test]
fn what_is_not_there() {
    with_shared(async |shared| {
        for path in [
            "videos/nothing",
            "videos/nothing/curve",
            "videos/nothing/library",
            "videos/nothing/drop-off",
            "videos//curve",
            "videos/%2e%2e",
            "videos/%00/curve",
            "videos/%F0%9F%98%80",
        ] {
            let reply = shared.served.get(&format!("/api/v1/{path}")).await;
            assert_problem(&reply, 404, "unknown-video", None, path);
        }
        for path in [
            "",
            "x",
            "videos/",
            "videos/a/b/curve",
            "videos/v0001/curve/",
            "top",
            "top/all",
            "problems/",
            "../../etc/passwd",
            "live/x",
        ] {
            let reply = shared.served.get(&format!("/api/v1/{path}")).await;
            assert_problem(&reply, 404, "not-found", None, path);
        }
        assert_problem(&shared.served.get("/api/v1/problems/x").await, 404, "not-found", None, "problems/x");
        let reply = shared.served.get("/api/v1/videos/%ff/curve").await;
        assert_problem(&reply, 400, "bad-path", None, "an id that is not UTF-8");
    });
}

#[test]
fn every_problem_is_explained() {
    with_shared(async |shared| {
        let kinds =
            ["bad-parameter", "no-build", "stale-cursor", "timeout", "busy", "over-limit", "unreadable", "internal"];
        for kind in kinds {
            let explained = shared.served.json(&format!("/problems/{kind}")).await;
            assert_eq!(explained["type"], format!("/api/v1/problems/{kind}"));
            assert!(explained["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
        }
    });
}

#[test]
fn only_reading() {
    with_shared(async |shared| {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
            let request = Request::builder().method(method.clone()).uri("/api/v1/videos").body(Body::from("{}"));
            let reply = shared.served.send(request.expect("a request")).await;
            assert_problem(&reply, 405, "method-not-allowed", None, method.as_str());
            assert_eq!(reply.header("allow"), "GET,HEAD", "{method}");
        }
    });
}

#[test]
fn too_long() {
    with_shared(async |shared| {
        let path = format!("/api/v1/videos?search={}", "a".repeat(30_000));
        assert_problem(&shared.served.get(&path).await, 414, "uri-too-long", None, "30 kB");
        let path = format!("/api/v1/videos/{}/curve", "a".repeat(60_000));
        let reply = shared.served.get(&path).await;
        assert_problem(&reply, 404, "unknown-video", None, "a long id");
        assert!(reply.body.len() < 1000);
    });
}

#[test]
fn odd_but_right() {
    with_shared(async |shared| {
        let odd = encode(ODD_VIDEO);
        let video = shared.served.json(&format!("/videos/{odd}")).await;
        assert_eq!(video["video_id"], ODD_VIDEO);
        assert_eq!((&video["title"], &video["duration_s"]), (&json!(null), &json!(null)));
        assert_eq!(video["totals"]["views"], 3);
        // Filters that nothing has, of a video that is there.
        let nothing = shared.served.json(&format!("/videos/{odd}/curve?video=another&region=XX")).await;
        assert_eq!((&nothing["views"], nothing["plays"].as_array().map(Vec::len)), (&json!(0), Some(30)));
        assert!(nothing["plays"].as_array().expect("plays").iter().all(|plays| *plays == json!(0)));
        let quotes = "'; drop table silver.views; --\"\\$1\u{0}";
        for name in ["region", "creator", "genre", "device", "video", "user.plan", "search"] {
            let list = shared.served.json(&format!("/videos?{name}={}", encode(quotes))).await;
            assert_eq!(list["total"], 0, "{name}");
        }
        for accept in ["", ",,;q=", "text/csv;q=nan", "*/*;q=1.5", "text/csv; q=0", "\u{ff}"] {
            let reply = shared.served.get_with("/api/v1/videos", &[("accept", accept)]).await;
            assert_eq!(reply.status, StatusCode::OK, "{accept:?}");
        }
        let known = "x,".repeat(3000);
        let reply = shared.served.get_with("/api/v1/videos", &[("if-none-match", &known)]).await;
        assert_eq!(reply.status, StatusCode::OK);
    });
}

/// Bytes by a generator with a fixed seed: whatever they are, the answer is no failure.
#[test]
fn noise() {
    with_shared(async |shared| {
        let words = [
            "from",
            "to",
            "region",
            "video",
            "user.plan",
            "limit",
            "cursor",
            "sort",
            "order",
            "search",
            "period",
            "date",
            "=",
            "&",
            "%",
            "%00",
            "%ff",
            "+",
            "2026-01-06",
            "-1",
            "1e999",
            "views",
            "asc",
            "day",
            "null",
            "ü",
            ";",
            "#",
            "'",
            "[]",
            "{",
            "9".repeat(30).leak(),
        ];
        let ends = [
            "overview",
            "videos",
            "top/content",
            "top/genres",
            "regions",
            "facets",
            "videos/v0001",
            "videos/v0001/curve",
            "videos/v0001/library",
            "videos/v0001/drop-off",
            "quality",
            "status",
        ];
        let mut state = 42_u64;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        for _ in 0..1500 {
            let mut query = String::new();
            for _ in 0..next(8) {
                query.push_str(words[next(words.len())]);
            }
            let path = format!("/api/v1/{}?{query}", ends[next(ends.len())]);
            let Ok(request) = Request::get(&path).body(Body::empty()) else { continue };
            let reply = shared.served.send(request).await;
            assert!(
                reply.status.is_success() || reply.status.is_client_error(),
                "{path}: {} {}",
                reply.status,
                reply.text()
            );
        }
    });
}
