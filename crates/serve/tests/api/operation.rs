//! Quality, audit, status; before the first build, and when a new one comes.

use axum::http::StatusCode;
use serde_json::{Value, json};
use streamreel_serve::ApiSettings;
use streamreel_simulate::{Pace, Settings};

use super::support::{Home, until, with_shared};

#[test]
fn quality_adds_up() {
    with_shared(async |shared| {
        let quality = shared.served.json("/quality").await;
        let number = |name: &str| quality[name].as_i64().expect("a number");
        let sql = "select count(*) as records, sum(case when outcome = 'clean' then 1 else 0 end) as clean, \
                   sum(case when outcome = 'rejected' then 1 else 0 end) as rejected, \
                   sum(case when outcome = 'duplicate' then 1 else 0 end) as duplicates from bronze.events";
        let bronze = shared.home.sql(sql).await;
        for name in ["records", "clean", "rejected", "duplicates"] {
            assert_eq!(quality[name], bronze[0][name], "{name}");
        }
        assert_eq!(number("records"), number("clean") + number("rejected") + number("duplicates"));
        let reasons = quality["reasons"].as_array().expect("reasons");
        assert!(reasons.len() > 5, "{reasons:?}");
        for reason in reasons {
            let name = reason["reason"].as_str().expect("a name");
            let of = format!("from bronze.events where outcome = 'rejected' and reason = '{name}'");
            let count = shared.home.sql(&format!("select count(*) as n {of}")).await;
            assert_eq!(reason["records"], count[0]["n"], "{name}");
            let sql = format!(
                "select source_partition as partition, source_offset as offset, detail {of} \
                 order by received_at desc, source_offset desc, source_partition limit 3"
            );
            let recent = shared.home.sql(&sql).await;
            let samples = reason["samples"].as_array().expect("samples");
            assert_eq!(samples.len(), recent.len(), "{name}");
            for (sample, row) in samples.iter().zip(&recent) {
                assert_eq!(
                    (&sample["partition"], &sample["offset"], &sample["detail"]),
                    (&row["partition"], &row["offset"], &row["detail"]),
                    "{name}"
                );
                assert!(sample["payload"].as_str().is_some_and(|text| text.chars().count() <= 500), "{sample}");
            }
        }
        let late = shared.home.sql("select sum(late_duplicates) as n from silver.enriched_events").await;
        assert_eq!(
            quality["duplicates_by"],
            json!([
                {"name": "in_window", "records": quality["duplicates"]}, {"name": "late_duplicates", "records": late[0]["n"]},
            ])
        );
        for correction in quality["corrections"].as_array().expect("corrections") {
            let name = correction["name"].as_str().expect("a name");
            let sql =
                format!("select count(*) as n from bronze.events where ',' || corrections || ',' like '%,{name},%'");
            assert_eq!(correction["events"], shared.home.sql(&sql).await[0]["n"], "{name}");
        }
        let of_views = quality["view_corrections"].as_array().expect("corrections");
        assert!(of_views.iter().any(|of| of["count"] != json!(0)), "{of_views:?}");
        for correction in of_views {
            let name = correction["name"].as_str().expect("a name");
            let sum = shared.home.sql(&format!("select sum({name}) as n from silver.views")).await;
            let (count, sum) = (correction["count"].as_f64(), sum[0]["n"].as_f64());
            // Seconds are summed to the microsecond.
            let is_near = count.zip(sum).is_some_and(|(count, sum)| (count - sum).abs() < 1e-3);
            assert!(is_near, "{name}: {count:?} is not {sum:?}");
        }
        for name in ["restarts", "unplaced_s"] {
            assert_eq!(of_views.iter().filter(|of| of["name"] == name).count(), 1, "{name}: {of_views:?}");
        }
    });
}

#[test]
fn tests_of_the_build_are_shown() {
    with_shared(async |shared| {
        let quality = shared.served.json("/quality").await;
        let status = shared.served.json("/status").await;
        assert_eq!(quality["tests"]["build_id"], status["build"]["build_id"]);
        let results = quality["tests"]["results"].as_array().expect("results");
        let count = |name: &str, value: &str| results.iter().filter(|result| result[name] == value).count();
        assert!(count("kind", "unit") > 3 && count("kind", "data") > 20, "{results:?}");
        assert_eq!(count("result", "passed"), results.len(), "{results:?}");
        assert!(count("model", "gold__retention_changes") > 0, "{results:?}");
        assert!(results.iter().all(|result| result["failures"] == json!(0) && result["model"] != ""));
    });
}

#[test]
fn the_audit_holds() {
    with_shared(async |shared| {
        let audit = shared.served.json("/audit").await;
        assert_eq!(audit["holds"], json!(true), "{audit}");
        let equations = audit["equations"].as_array().expect("equations");
        for layer in ["topics", "bronze", "silver", "gold"] {
            assert!(equations.iter().any(|equation| equation["layer"] == layer), "{layer}: {audit}");
        }
        for equation in equations {
            assert_eq!(equation["left"]["value"], equation["right"]["value"]);
            assert_eq!(equation["detail"], Value::Null);
        }
        assert_eq!(audit["checked_at"], "2026-01-09T23:06:39.000000Z");
    });
}

#[test]
fn status_names_versions() {
    with_shared(async |shared| {
        let status = shared.served.json("/status").await;
        let build = shared.home.lake.published().await.expect("builds").expect("a build");
        assert_eq!(status["build"]["build_id"], build.build_id);
        for table in status["tables"].as_array().expect("tables") {
            let name = table["name"].as_str().expect("a name");
            let rows = shared.home.sql(&format!("select count(*) as n from {name}")).await;
            assert_eq!(table["rows"], rows[0]["n"], "{name}");
        }
        let gold = "select sum(views) as n from gold.seeks_after_half";
        assert_ne!(shared.home.sql(gold).await[0]["n"], json!(0));
        let title =
            shared.home.sql("select video_id, title from gold.top_content where period = 'all' and rank = 1").await;
        let id = title[0]["video_id"].as_str().expect("an id");
        assert_eq!(shared.served.api.title(id).as_deref(), title[0]["title"].as_str());
        assert_eq!(shared.served.api.title("nothing"), None);
        assert!(shared.served.api.held_bytes() > 0);
        assert_eq!(shared.unheld.api.held_bytes(), 0);
    });
}

/// A home of its own: nothing, then records, then a build, then another.
#[test]
fn builds_are_followed() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = Home::new();
    let poll = std::time::Duration::from_millis(50);
    let settings = ApiSettings { poll, audit_rest: poll, ..ApiSettings::default() };
    let served = runtime.block_on(home.open(settings));
    let get = |path: &str| runtime.block_on(served.get(path));
    for path in [
        "/api/v1/overview",
        "/api/v1/videos",
        "/api/v1/videos/v0001/curve",
        "/api/v1/top/content",
        "/api/v1/facets",
        "/api/v1/regions",
    ] {
        let reply = get(path);
        assert_eq!(reply.status, StatusCode::CONFLICT, "{path}");
        assert_eq!(reply.json()["type"], "/api/v1/problems/no-build", "{path}");
        assert!(reply.text().contains("streamreel build"), "{path}: {}", reply.text());
    }
    assert_eq!(get("/api/v1/status").json()["build"], Value::Null);
    assert_eq!(get("/api/v1/quality").json()["records"], json!(0));
    assert_eq!(get("/api/v1/audit").json()["build_id"], Value::Null);

    let day = |seed: u64| Settings {
        pace: Pace::Records { records: 3000, days: 1 },
        videos: Some(5),
        seed,
        ..Settings::default()
    };
    home.simulate(&day(1));
    home.process();
    assert_eq!(get("/api/v1/status").json()["build"], Value::Null);
    let first = runtime.block_on(home.build());
    runtime
        .block_on(until("the first build", async || served.api.build().is_some_and(|build| build.build_id == first)));
    let page = get("/api/v1/videos?limit=2");
    let (views, tag) = (get("/api/v1/overview").json()["totals"]["views"].clone(), page.header("etag").to_owned());
    let cursor = page.json()["next_cursor"].as_str().expect("more than one page").to_owned();
    let next = format!("/api/v1/videos?limit=2&cursor={cursor}");
    assert_eq!(get(&next).status, StatusCode::OK);

    home.simulate(&day(2));
    home.process();
    let second = runtime.block_on(home.build());
    runtime
        .block_on(until("the second build", async || served.api.build().is_some_and(|build| build.build_id == second)));
    let reply = get(&next);
    assert_eq!(reply.status, StatusCode::GONE);
    assert_eq!(reply.json()["type"], "/api/v1/problems/stale-cursor");
    assert_ne!(get("/api/v1/overview").json()["totals"]["views"], views);
    let again = runtime.block_on(served.get_with("/api/v1/videos?limit=2", &[("if-none-match", &tag)]));
    assert_eq!(again.status, StatusCode::OK);
    runtime.block_on(until("its audit", async || {
        let audit = served.json("/audit").await;
        audit["build_id"] == second.as_str() && audit["holds"] == json!(true)
    }));
    // Some tests of the second build ran, others had nothing new to look at.
    let results = get("/api/v1/quality").json()["tests"]["results"].clone();
    let results = results.as_array().expect("results");
    assert!(results.iter().any(|r| r["result"] == "unchanged") && results.iter().any(|r| r["result"] == "passed"));
}

/// A query that may not take any time is stopped, and said to be.
#[test]
fn limits_are_said() {
    with_shared(async |shared| {
        let settings = ApiSettings { query_timeout: std::time::Duration::from_micros(1), ..ApiSettings::default() };
        let served = shared.home.open(settings).await;
        for path in ["overview", "regions", "facets", "videos?device=tv", "videos/v0001/curve?device=tv"] {
            let reply = served.get(&format!("/api/v1/{path}")).await;
            assert_eq!(reply.status, StatusCode::GATEWAY_TIMEOUT, "{path}: {}", reply.text());
            assert_eq!(reply.json()["type"], "/api/v1/problems/timeout", "{path}");
        }
        // What gold has in memory takes no query.
        for path in
            ["videos", "videos/v0001/curve", "videos/v0001/drop-off", "videos/v0001/library", "top/content", "status"]
        {
            let reply = served.get(&format!("/api/v1/{path}")).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        }
    });
}

/// A table of the build that is damaged is said once it is asked for; what is in memory is still answered.
#[test]
fn a_damaged_lake_is_said() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let home = Home::new();
    home.simulate(&Settings { pace: Pace::Records { records: 2000, days: 1 }, videos: Some(3), ..Settings::default() });
    home.process();
    runtime.block_on(home.build());
    let served = runtime.block_on(home.open(ApiSettings::default()));
    std::fs::remove_dir_all(home.lake.place().folder().expect("a folder").join("silver/views/view_date=2026-01-05"))
        .expect("it is there");
    let reply = runtime.block_on(served.get("/api/v1/overview"));
    assert!(reply.status.is_server_error(), "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert!(!reply.text().contains(&home.lake.place().to_string()), "paths are for the log: {}", reply.text());
    assert_eq!(runtime.block_on(served.get("/api/v1/top/content")).status, StatusCode::OK);
    let again = runtime.block_on(home.open(ApiSettings::default()));
    let reply = runtime.block_on(again.get("/api/v1/top/content"));
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
    assert_eq!(reply.json()["type"], "/api/v1/problems/unreadable");
    assert_eq!(runtime.block_on(again.get("/api/v1/status")).json()["build"], Value::Null);
}
