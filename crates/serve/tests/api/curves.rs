//! Curves and drop-off: equal to gold where gold has them, to sums over segments where it has not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::{ODD_VIDEO, Served, Shared, encode, with_shared};

async fn videos(shared: &Shared) -> Vec<String> {
    let rows = shared.home.sql("select video_id from gold.viewer_retention order by video_id").await;
    let videos: Vec<String> = rows.iter().map(|row| row["video_id"].as_str().expect("an id").to_owned()).collect();
    assert!(videos.len() == 13 && videos.contains(&ODD_VIDEO.to_owned()), "{videos:?}");
    videos
}

fn quoted(id: &str) -> String {
    id.replace('\'', "''")
}

fn numbers(rows: &[Value], column: &str) -> Vec<i64> {
    rows.iter().map(|row| row[column].as_i64().expect("a number")).collect()
}

fn counts(value: &Value) -> Vec<i64> {
    value.as_array().expect("an array").iter().map(|count| count.as_i64().expect("a number")).collect()
}

#[test]
fn equal_to_gold() {
    with_shared(async |shared| {
        for video in videos(shared).await {
            let sql =
                format!("select * from gold.retention_curve where video_id = '{}' order by second_s", quoted(&video));
            let gold = shared.home.sql(&sql).await;
            assert!(!gold.is_empty(), "{video}");
            for served in [&shared.served, &shared.unheld] {
                let curve = served.json(&format!("/videos/{}/curve", encode(&video))).await;
                assert_eq!(curve["views"], gold[0]["views"], "{video}");
                for column in ["plays", "watched", "survived"] {
                    assert_eq!(counts(&curve[column]), numbers(&gold, column), "{video} {column}");
                }
                assert_eq!(curve["cut"], Value::Null);
            }
        }
    });
}

#[test]
fn regions_and_dates_add_up() {
    with_shared(async |shared| {
        let facets = shared.served.json("/facets").await;
        let regions = facets["regions"].as_array().expect("regions");
        assert!(regions.iter().any(|region| region["value"].is_null()), "one is unknown: {regions:?}");
        let dates = ["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08", "2026-01-09", "2026-01-10"];
        for video in videos(shared).await {
            let path = format!("/videos/{}/curve", encode(&video));
            let whole = shared.served.json(&path).await;
            let by_region =
                regions.iter().map(|r| format!("{path}?region={}", encode(r["value"].as_str().unwrap_or(""))));
            let by_date = dates.iter().map(|date| format!("{path}?from={date}&to={date}"));
            for paths in [by_region.collect::<Vec<_>>(), by_date.collect()] {
                let (mut views, mut sums) = (0, [Vec::new(), Vec::new(), Vec::new()]);
                for part in &paths {
                    let curve = shared.served.json(part).await;
                    views += curve["views"].as_i64().expect("views");
                    for (sum, column) in sums.iter_mut().zip(["plays", "watched", "survived"]) {
                        let values = counts(&curve[column]);
                        sum.resize(values.len(), 0);
                        sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                    }
                }
                assert_eq!(Value::from(views), whole["views"], "{paths:?}");
                for (sum, column) in sums.into_iter().zip(["plays", "watched", "survived"]) {
                    assert_eq!(sum, counts(&whole[column]), "{video} {column}");
                }
            }
        }
    });
}

/// A curve second by second from the segments of chosen views: midpoint by midpoint.
async fn brute_force(shared: &Shared, video: &str, condition: &str, seconds: usize) -> (i64, [Vec<i64>; 3]) {
    let video = quoted(video);
    let chosen = format!("from silver.views v where v.video_id = '{video}' and {condition}");
    let views = shared.home.sql(&format!("select count(*) as n {chosen}")).await[0]["n"].as_i64().expect("a number");
    let sql = format!(
        "select view_id, start_s, end_s from silver.watched_segments where view_id in (select v.view_id {chosen})"
    );
    let mut by_view: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in shared.home.sql(&sql).await {
        let position = |name: &str| row[name].as_f64().expect("a position");
        let id = row["view_id"].as_str().expect("an id").to_owned();
        by_view.entry(id).or_default().push((position("start_s"), position("end_s")));
    }
    let mut curve = [vec![0; seconds], vec![0; seconds], vec![0; seconds]];
    for segments in by_view.values() {
        let times = |s: usize| {
            let middle = s as f64 + 0.5;
            segments.iter().filter(|(start, end)| *start <= middle && middle < *end).count() as i64
        };
        let last = (0..seconds).rev().find(|&s| times(s) > 0);
        let [plays, watched, survived] = &mut curve;
        for (s, ((plays, watched), survived)) in plays.iter_mut().zip(watched).zip(survived).enumerate() {
            *plays += times(s);
            *watched += times(s).min(1);
            *survived += i64::from(last.is_some_and(|last| last >= s));
        }
    }
    (views, curve)
}

const FILTERS: [(&str, &str); 7] = [
    ("device=tv", "v.device = 'tv'"),
    ("device=tv&device=", "(v.device = 'tv' or coalesce(v.device, '') = '')"),
    ("user.plan=pro&from=2026-01-06", "v.user_plan = 'pro' and v.view_date >= date '2026-01-06'"),
    ("user.plan=it%27s+%22odd%22%2C+really", "v.user_plan = 'it''s \"odd\", really'"),
    ("user.age_group=&device=phone&region=US", "v.user_age_group is null and v.device = 'phone' and v.region = 'US'"),
    ("region=US&region=&to=2026-01-07", "(v.region = 'US' or v.region is null) and v.view_date <= date '2026-01-07'"),
    ("genre=nothing", "false"),
];

#[test]
fn filtered_as_by_hand() {
    with_shared(async |shared| {
        let mut watched = 0;
        for video in videos(shared).await {
            for (query, condition) in FILTERS {
                let curve = shared.served.json(&format!("/videos/{}/curve?{query}", encode(&video))).await;
                let found = ["plays", "watched", "survived"].map(|column| counts(&curve[column]));
                let (views, expected) = brute_force(shared, &video, condition, found[0].len()).await;
                assert_eq!((curve["views"].as_i64(), &found), (Some(views), &expected), "{video} {query}");
                watched += expected[0].iter().sum::<i64>();
            }
        }
        assert!(watched > 1000, "the filters choose too little to prove anything: {watched}");
    });
}

async fn drop_off(served: &Served, video: &str, query: &str) -> Value {
    served.json(&format!("/videos/{}/drop-off?{query}", encode(video))).await
}

#[test]
fn drop_off_is_that_of_gold() {
    with_shared(async |shared| {
        for video in videos(shared).await {
            let of = format!("where video_id = '{}'", quoted(&video));
            let sql = format!(
                "select cast(bucket_start_s as bigint) as start_s, sum(exits) as exits, sum(seeks_away) as seeks_away, \
                 sum(seeks_in) as seeks_in, sum(pauses) as pauses from gold.drop_off {of} group by 1 order by 1"
            );
            let gold = shared.home.sql(&sql).await;
            let sql = format!(
                "select view_date as date, sum(views) as views, sum(views_with_seek_after_half) as views_with_seek, \
                 sum(seeks_after_half) as seeks from gold.seeks_after_half {of} group by 1 order by 1"
            );
            let days = shared.home.sql(&sql).await;
            // The last one is answered from silver, and chooses all views.
            let facets = shared.served.json("/facets").await;
            let device = |value: &Value| format!("device={}", encode(value["value"].as_str().unwrap_or_default()));
            let devices: Vec<String> = facets["devices"].as_array().expect("devices").iter().map(device).collect();
            let all = &devices.join("&");
            for (served, query) in [(&shared.served, ""), (&shared.unheld, ""), (&shared.served, all)] {
                let answer = drop_off(served, &video, query).await;
                let happened = |bucket: &&Value| {
                    ["exits", "seeks_away", "seeks_in", "pauses"].iter().any(|column| bucket[column] != json!(0))
                };
                let buckets = answer["buckets"].as_array().expect("buckets");
                let found: Vec<&Value> = buckets.iter().filter(happened).collect();
                assert_eq!(found, gold.iter().collect::<Vec<_>>(), "{video} {query}");
                assert_eq!(answer["seeks_after_half"]["days"], json!(days), "{video} {query}");
                let starts: Vec<i64> = buckets.iter().map(|b| b["start_s"].as_i64().expect("a number")).collect();
                assert!(starts.is_sorted() && starts.iter().all(|start| start % 5 == 0), "{starts:?}");
                let views: i64 = numbers(&days, "views").iter().sum();
                assert_eq!(answer["views"], json!(views), "{video}");
            }
        }
    });
}

#[test]
fn a_library_is_the_spread_of_its_curves() {
    with_shared(async |shared| {
        let mut with_library = 0;
        for video in videos(shared).await {
            for query in ["", "from=2026-01-06&to=2026-01-07", "device=tv"] {
                let path = format!("/videos/{}/library?{query}", encode(&video));
                let library = shared.served.json(&path).await;
                assert_eq!(library, shared.unheld.json(&path).await, "{path}");
                let (Some(from), Some(to)) = (library["duration_from_s"].as_f64(), library["duration_to_s"].as_f64())
                else {
                    assert_eq!((video.as_str(), &library["videos"]), (ODD_VIDEO, &json!(0)));
                    continue;
                };
                let list = shared.served.json(&format!("/videos?limit=1000&{query}")).await;
                let mut medians: Vec<Vec<f64>> = vec![Vec::new(); 101];
                for other in list["items"].as_array().expect("items") {
                    let duration = other["duration_s"].as_f64().unwrap_or(-1.0);
                    let views = other["views"].as_f64().expect("views");
                    if (from..=to).contains(&duration) && views >= 10.0 {
                        let id = encode(other["video_id"].as_str().expect("an id"));
                        let curve = shared.served.json(&format!("/videos/{id}/curve?{query}")).await;
                        let survived = counts(&curve["survived"]);
                        for (p, values) in medians.iter_mut().enumerate() {
                            let second = ((p as f64 * duration / 100.0).floor() as usize).min(survived.len() - 1);
                            values.push(survived[second] as f64 / views);
                        }
                    }
                }
                assert_eq!(library["videos"], json!(medians[0].len()), "{path}");
                if medians[0].len() < 3 {
                    assert_eq!(library["survival"], Value::Null);
                    continue;
                }
                with_library += 1;
                for (p, values) in medians.iter_mut().enumerate() {
                    values.sort_by(f64::total_cmp);
                    let half = values.len() / 2;
                    let median =
                        if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 };
                    let found = library["survival"]["median"][p].as_f64().expect("a number");
                    assert!((found - median).abs() < 1e-12, "{path} {p}: {found} {median}");
                }
            }
        }
        assert!(with_library > 5, "too few videos are alike: {with_library}");
    });
}

#[test]
fn what_stands_out_is_said() {
    with_shared(async |shared| {
        let mut named = 0;
        for video in videos(shared).await {
            let curve = shared.served.json(&format!("/videos/{}/curve", encode(&video))).await;
            let (plays, survived) = (counts(&curve["plays"]), counts(&curve["survived"]));
            let views = curve["views"].as_f64().expect("views");
            for peak in curve["peaks"].as_array().expect("peaks") {
                let at = peak["second_s"].as_u64().expect("a second") as usize;
                assert!((peak["ratio"].as_f64().expect("a number") - plays[at] as f64 / views).abs() < 1e-12, "{peak}");
                assert!(peak["text"].as_str().expect("text").starts_with("rewatched around "), "{peak}");
                named += 1;
            }
            for cliff in curve["cliffs"].as_array().expect("cliffs") {
                let at = cliff["second_s"].as_u64().expect("a second") as usize;
                assert!(survived[at - 1] > survived[at], "{cliff}");
                let lost = cliff["views_lost"].as_f64().expect("a number") / views;
                assert!((cliff["lost_ratio"].as_f64().expect("a number") - lost).abs() < 1e-12, "{cliff}");
            }
        }
        assert!(named > 0, "no video of the simulator is rewatched anywhere");
    });
}
