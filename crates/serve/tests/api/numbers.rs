//! Sums, means and people: equal to SQL over silver and to gold, to the last bit.

use serde_json::{Value, json};

use super::support::{encode, with_shared};

/// `T` of the answers, over `v`.
const TOTALS: &str = "count(*) as views, count(distinct v.user_id) as viewers, \
    cast(sum(cast(round(v.watch_time_s * 1e9) as decimal(28, 0))) as double) / 1e9 as watch_time_s, \
    (cast(sum(cast(round(v.watch_time_percentage * 1e9) as decimal(28, 0))) as double) / 1e9) \
        / nullif(count(v.watch_time_percentage), 0) as avg_retention, \
    cast(sum(case when v.is_completed then 1 else 0 end) as double) / nullif(count(v.is_completed), 0) as completion_rate, \
    sum(case when v.is_engaged then 1 else 0 end) as engaged_views";

/// Queries with what they mean.
const FILTERS: [(&str, &str); 8] = [
    ("", "true"),
    ("from=2026-01-06&to=2026-01-07", "v.view_date between date '2026-01-06' and date '2026-01-07'"),
    ("region=US&region=", "(v.region = 'US' or v.region is null)"),
    ("creator=", "v.creator is null"),
    ("device=tv&from=2026-01-06", "v.device = 'tv' and v.view_date >= date '2026-01-06'"),
    ("user.plan=pro&user.plan=", "(v.user_plan = 'pro' or v.user_plan is null)"),
    ("genre=no+such+genre", "false"),
    ("video=v0001&video=v0002&device=phone", "v.video_id in ('v0001', 'v0002') and v.device = 'phone'"),
];

fn without<'a>(value: &'a Value, names: &[&str]) -> Vec<(&'a String, &'a Value)> {
    value.as_object().expect("an object").iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
}

/// JSON of SQL leaves no sum for no rows; the API says 0.
fn zeros(mut row: Value) -> Value {
    for name in ["watch_time_s", "engaged_views"] {
        if row[name].is_null() {
            row[name] = if name == "watch_time_s" { json!(0.0) } else { json!(0) };
        }
    }
    row
}

#[test]
fn overview_is_that_of_silver() {
    with_shared(async |shared| {
        for (query, condition) in FILTERS {
            let overview = shared.served.json(&format!("/overview?{query}")).await;
            let sql = format!("select {TOTALS} from silver.views v where {condition}");
            let totals = zeros(shared.home.sql(&sql).await.remove(0));
            assert_eq!(overview["totals"], totals, "{query}");
            let sql = format!(
                "select v.view_date as date, {TOTALS} from silver.views v where {condition} group by 1 order by 1"
            );
            let days = shared.home.sql(&sql).await;
            let found = overview["days"].as_array().expect("days");
            let with_views: Vec<&Value> = found.iter().filter(|day| day["views"] != json!(0)).collect();
            assert_eq!(with_views, days.iter().collect::<Vec<_>>(), "{query}");
            let (first, last) = (&found[0]["date"], &found[found.len() - 1]["date"]);
            assert_eq!((first, last), (&overview["period"]["from"], &overview["period"]["to"]), "{query}");
        }
    });
}

#[test]
fn overview_knows_the_time_before() {
    with_shared(async |shared| {
        let overview = shared.served.json("/overview?from=2026-01-07&to=2026-01-08&region=US").await;
        assert_eq!(overview["previous"], json!({"from": "2026-01-05", "to": "2026-01-06"}));
        let before = shared.served.json("/overview?from=2026-01-05&to=2026-01-06&region=US").await;
        assert_eq!(overview["previous_totals"], before["totals"]);
        assert_eq!((&before["previous"], &before["previous_totals"]), (&Value::Null, &Value::Null));
        let later = shared.served.json("/overview?from=2030-01-01&to=2030-01-03").await;
        assert_eq!(later["days"].as_array().map(Vec::len), Some(3));
        assert_eq!(later["totals"]["views"], json!(0));
        assert_eq!(later["totals"]["avg_retention"], Value::Null);
        assert_eq!(later["previous_totals"]["views"], json!(0));
    });
}

#[test]
fn videos_are_those_of_silver_and_gold() {
    with_shared(async |shared| {
        for (query, condition) in FILTERS {
            let list = shared.served.json(&format!("/videos?sort=video_id&limit=1000&{query}")).await;
            let sql = format!(
                "select v.video_id, max(v.title) as title, max(v.creator) as creator, max(v.genre) as genre, {TOTALS} \
                 from silver.views v where {condition} group by 1 order by 1"
            );
            let rows = shared.home.sql(&sql).await;
            let items = list["items"].as_array().expect("items");
            let found: Vec<_> = items.iter().map(|item| without(item, &["duration_s"])).collect();
            assert_eq!(found, rows.iter().map(|row| without(row, &[])).collect::<Vec<_>>(), "{query}");
            assert_eq!(list["total"], json!(rows.len()));
        }
        let list = shared.served.json("/videos?limit=1000").await;
        let gold = "select t.*, r.total_views, r.avg_retention from gold.top_content t \
                    join gold.viewer_retention r on r.video_id = t.video_id where t.period = 'all' order by t.rank";
        let gold = shared.home.sql(gold).await;
        for (item, row) in list["items"].as_array().expect("items").iter().zip(&gold) {
            for name in [
                "video_id",
                "title",
                "creator",
                "genre",
                "views",
                "viewers",
                "watch_time_s",
                "avg_retention",
                "completion_rate",
            ] {
                assert_eq!(item[name], row[name], "{name} of {row}");
            }
            assert_eq!(row["avg_retention"], row["avg_watch_time_percentage"]);
        }
        assert_eq!(list["total"], json!(gold.len()));
    });
}

#[test]
fn a_video_is_its_views() {
    with_shared(async |shared| {
        let list = shared.served.json("/videos?limit=1000").await;
        for item in list["items"].as_array().expect("items") {
            let id = item["video_id"].as_str().expect("an id");
            let video = shared.served.json(&format!("/videos/{}", encode(id))).await;
            for name in ["video_id", "title", "creator", "genre", "duration_s"] {
                assert_eq!(video[name], item[name]);
            }
            for name in ["views", "viewers", "watch_time_s", "avg_retention", "completion_rate", "engaged_views"] {
                assert_eq!(video["totals"][name], item[name], "{name} of {id}");
            }
            for (group, column) in [("region", "region"), ("device", "nullif(device, '')")] {
                let sql = format!(
                    "select {column} as value, count(*) as views from silver.views where video_id = '{}' \
                     group by 1 order by 2 desc, 1 nulls last",
                    id.replace('\'', "''")
                );
                assert_eq!(video[format!("{group}s")], json!(shared.home.sql(&sql).await), "{group} of {id}");
            }
            let sql = format!(
                "select min(view_date) as first, max(view_date) as last from silver.views where video_id = '{id}'"
            );
            assert_eq!(video["dates"], shared.home.sql(&sql).await[0]);
        }
    });
}

#[test]
fn rankings_are_those_of_gold() {
    with_shared(async |shared| {
        for (name, columns) in
            [("content", "video_id, title, creator, genre"), ("creators", "creator"), ("genres", "genre")]
        {
            for (query, condition) in [
                ("", "period = 'all'"),
                ("period=day&date=2026-01-06", "period = 'day' and view_date = date '2026-01-06'"),
                ("period=day&date=2031-01-06", "false"),
            ] {
                let sql = format!(
                    "select rank, {columns}, views, viewers, watch_time_s, avg_watch_time_percentage, completion_rate \
                     from gold.top_{name} where {condition} order by rank"
                );
                let gold = shared.home.sql(&sql).await;
                for served in [&shared.served, &shared.unheld] {
                    let top = served.json(&format!("/top/{name}?limit=1000&{query}")).await;
                    assert_eq!(top["items"], json!(gold), "{name} {query}");
                    assert_eq!(top["total"], json!(gold.len()));
                }
            }
        }
        let last = shared.served.json("/top/content?period=day").await;
        let status = shared.served.json("/status").await;
        assert_eq!(last["date"], status["dates"]["last"]);
    });
}

#[test]
fn regions_are_those_of_silver_and_gold() {
    with_shared(async |shared| {
        for (query, condition) in FILTERS {
            let answer = shared.served.json(&format!("/regions?{query}")).await;
            let rate = TOTALS.replace("avg_retention", "avg_watch_time_percentage");
            let columns = "region, views, viewers, watch_time_s, avg_watch_time_percentage";
            let sql = format!(
                "select {columns} from (select v.region, {rate} from silver.views v where {condition} group by 1) \
                 order by views desc, region nulls last"
            );
            let rows = shared.home.sql(&sql).await;
            assert_eq!(answer["regions"], json!(rows), "{query}");
            let views = |list: &Value| -> i64 {
                list.as_array().expect("a list").iter().map(|row| row["views"].as_i64().expect("a number")).sum()
            };
            assert_eq!(views(&answer["hours"]), views(&answer["regions"]), "{query}");
        }
        let day = shared.served.json("/regions?from=2026-01-06&to=2026-01-06").await;
        let gold = "select region, views, viewers, watch_time_s, avg_watch_time_percentage from gold.regional_engagement \
                    where view_date = date '2026-01-06' and hour_of_day is null order by views desc, region nulls last";
        assert_eq!(day["regions"], json!(shared.home.sql(gold).await));
        let gold = "select region, hour_of_day, views, watch_time_s, avg_watch_time_percentage from gold.regional_engagement \
                    where view_date = date '2026-01-06' and hour_of_day is not null";
        let mut hours = shared.home.sql(gold).await;
        let mut found = day["hours"].as_array().expect("hours").clone();
        for rows in [&mut hours, &mut found] {
            rows.sort_by_key(|row| (row["region"].to_string(), row["hour_of_day"].as_i64()));
        }
        assert_eq!(found, hours);
    });
}

#[test]
fn facets_count_views() {
    with_shared(async |shared| {
        let facets = shared.served.json("/facets").await;
        for (list, column) in
            [("regions", "region"), ("creators", "creator"), ("genres", "genre"), ("devices", "nullif(device, '')")]
        {
            let sql = format!(
                "select {column} as value, count(*) as views from silver.views group by 1 order by 2 desc, 1 nulls last"
            );
            assert_eq!(facets[list], json!(shared.home.sql(&sql).await), "{list}");
        }
        let names: Vec<&Value> =
            facets["user_columns"].as_array().expect("columns").iter().map(|column| &column["name"]).collect();
        assert_eq!(names, ["plan", "age_group"]);
        let sql =
            "select user_plan as value, count(*) as views from silver.views group by 1 order by 2 desc, 1 nulls last";
        assert_eq!(facets["user_columns"][0]["values"], json!(shared.home.sql(sql).await));
        assert_eq!(facets["cuts"], json!([]));
    });
}
