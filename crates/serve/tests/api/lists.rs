//! Lists: every order is sorted, every page follows the one before, every search finds.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::support::{encode, with_shared};

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.to_lowercase().cmp(&b.to_lowercase()),
        _ => a.as_f64().partial_cmp(&b.as_f64()).expect("numbers"),
    }
}

fn assert_sorted(items: &[Value], key: &str, descending: bool, what: &str) {
    for pair in items.windows(2) {
        let (a, b) = (&pair[0][key], &pair[1][key]);
        let is_right = match (a.is_null(), b.is_null()) {
            (true, false) => false,
            (_, true) => true,
            _ => compare(a, b) != if descending { Ordering::Less } else { Ordering::Greater },
        };
        assert!(is_right, "{what}: {a} before {b}");
    }
}

#[test]
fn orders() {
    with_shared(async |shared| {
        let videos = ["watch_time_s", "views", "viewers", "avg_retention", "completion_rate", "title", "video_id"];
        let ranked = ["rank", "watch_time_s", "views", "viewers", "avg_watch_time_percentage", "completion_rate"];
        let lists = videos.map(|key| ("/videos", key)).into_iter().chain(ranked.map(|key| ("/top/content", key)));
        for (list, key) in lists {
            for order in ["asc", "desc"] {
                let path = format!("{list}?sort={key}&order={order}&limit=1000");
                let answer = shared.served.json(&path).await;
                let items = answer["items"].as_array().expect("items");
                assert_eq!(items.len(), 13, "{path}");
                assert_sorted(items, key, order == "desc", &path);
            }
        }
        let usual = shared.served.json("/videos").await;
        assert_eq!(usual, shared.served.json("/videos?order=desc&sort=watch_time_s&limit=50").await);
    });
}

#[test]
fn pages_have_every_row_once() {
    with_shared(async |shared| {
        for list in [
            "/videos?sort=title",
            "/videos?sort=views&device=tv&device=",
            "/top/creators?sort=completion_rate",
            "/top/content?period=day&date=2026-01-06",
        ] {
            let whole = shared.served.json(&format!("{list}&limit=1000")).await;
            assert_eq!(whole["next_cursor"], Value::Null, "{list}");
            for limit in [1, 2, 5] {
                let mut items: Vec<Value> = Vec::new();
                let mut cursor = String::new();
                loop {
                    let reply = shared.served.get(&format!("/api/v1{list}&limit={limit}{cursor}")).await;
                    let page = reply.json();
                    assert_eq!(page["total"], whole["total"]);
                    items.extend(page["items"].as_array().expect("items").iter().cloned());
                    let Some(next) = page["next_cursor"].as_str() else {
                        assert_eq!(reply.header("link"), "");
                        break;
                    };
                    // The link leads to the same page.
                    let link =
                        reply.header("link").trim_start_matches('<').split('>').next().expect("a link").to_owned();
                    let linked = shared.served.get(&link).await.json();
                    cursor = format!("&cursor={next}");
                    let followed = shared.served.json(&format!("{list}&limit={limit}{cursor}")).await;
                    assert_eq!(linked["items"], followed["items"], "{link}");
                    assert_ne!(linked["items"], json!([]));
                }
                assert_eq!(Value::from(items), whole["items"], "{list} by {limit}");
            }
        }
    });
}

#[test]
fn searches() {
    with_shared(async |shared| {
        let all = shared.served.json("/videos?limit=1000").await;
        let all = all["items"].as_array().expect("items");
        let title = all.iter().find_map(|item| item["title"].as_str()).expect("a title");
        let part: String = title.chars().skip(1).take(6).collect();
        for search in [part.as_str(), "V00", "ü?", "", "no such video", "%", "_"] {
            for text in [search.to_uppercase(), search.to_lowercase()] {
                let found = shared.served.json(&format!("/videos?limit=1000&search={}", encode(&text))).await;
                let has = |item: &&Value| {
                    let contains = |name: &str| {
                        item[name].as_str().unwrap_or_default().to_lowercase().contains(&search.to_lowercase())
                    };
                    contains("title") || contains("video_id")
                };
                let expected: Vec<&Value> = all.iter().filter(has).collect();
                assert_eq!(found["items"], json!(expected), "{text}");
                assert_eq!(found["total"], json!(expected.len()));
            }
        }
    });
}
