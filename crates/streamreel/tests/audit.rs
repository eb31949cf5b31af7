//! The audit can fail: what is taken away, doubled or shifted behind the program's back is found.

mod common;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use common::{Home, repository, text};
use futures::TryStreamExt;
use serde_json::Value;
use streamreel_lake::{CommitNote, Delete, Lake, OffsetRange, Reading, TableId, plan};

/// A home with simulated records, processed and built, whose audit holds.
fn good() -> Home {
    let home = Home::new();
    home.ok(&["simulate", "--events", "5000", "--dirt", "0.1"]);
    home.ok(&["process"]);
    home.ok(&["build"]);
    home.ok(&["audit"]);
    home
}

fn lake(home: &Home) -> Lake {
    Lake::open(home.path().join("data_lake")).expect("the lake opens")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(work)
}

/// Equations that do not hold; there must be some, and the status must say so.
fn broken(home: &Home, without: &str) -> Vec<Value> {
    let output = home.run(&["audit", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{without}: {}", text(&output.stdout));
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(verdict["holds"], false);
    let equations = verdict["equations"].as_array().expect("equations").clone();
    let broken: Vec<Value> = equations.into_iter().filter(|e| e["holds"] == false).collect();
    assert!(broken.iter().all(|e| e["left"]["value"] != e["right"]["value"]), "{broken:?}");
    broken
}

/// Rows of a query, in one batch.
async fn rows(lake: &Lake, sql: &str) -> RecordBatch {
    let session = lake.session(&Reading::Latest).await.expect("a session");
    let stream = plan::sql(&session, sql).await.expect("a plan").execute_stream().await.expect("rows");
    let schema = stream.schema();
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect("rows");
    concat_batches(&schema, &batches).expect("one batch")
}

/// Takes one row of bronze away.
async fn delete_one(lake: &Lake) {
    let mut table = lake.open_table(&TableId::bronze("events")).await.expect("opens").expect("is there");
    let keys =
        rows(lake, "select source_partition, source_offset from bronze.events where source_offset = 7 limit 1").await;
    assert_eq!(keys.num_rows(), 1);
    let delete = Delete::Keys { keys, partitions: None, window: None };
    let nothing = table.writer().finish().await.expect("nothing written");
    table.commit(delete, nothing, CommitNote::new("test")).await.expect("committed");
}

/// Lands one more record of partition 0 that is a copy of a row there is, with its source offset or another.
async fn land(lake: &Lake, sql: &str, records: i64) {
    let mut table = lake.open_table(&TableId::bronze("events")).await.expect("opens").expect("is there");
    let offsets = table.offsets("video-events").await.expect("offsets");
    let ((log, partition), from) = offsets.into_iter().next().expect("an offset");
    let batch = rows(lake, sql).await;
    let range = OffsetRange { log, topic: "video-events".to_owned(), partition, from, next: from + records, records };
    table.append_offsets(vec![batch], &[range]).await.expect("landed");
}

#[test]
fn a_part_of_gold_that_is_built_after_new_data() {
    let home = good();
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    let built = home.json(&["build", "--select", "gold__viewer_retention"]);
    let also_built = built["gold"]["also_built"].as_array().expect("tables");
    assert!(also_built.contains(&Value::from("gold.retention_curve")), "{built}");
    assert!(!also_built.contains(&Value::from("gold.viewer_retention")), "{built}");
    home.ok(&["audit"]);
    assert_eq!(home.json(&["build"])["gold"]["outcome"], "up_to_date");
}

#[test]
fn a_row_of_bronze_that_is_gone() {
    let home = good();
    run(delete_one(&lake(&home)));
    let broken = broken(&home, "a row of bronze gone");
    assert!(broken.iter().any(|e| e["layer"] == "bronze" && e["right"]["what"] == "rows"), "{broken:?}");
}

#[test]
fn a_row_of_bronze_that_is_there_twice() {
    let home = good();
    let twice = "select * from bronze.events where source_partition = 0 and source_offset = 3";
    run(land(&lake(&home), twice, 1));
    let broken = broken(&home, "a row of bronze twice");
    assert!(broken.iter().any(|e| e["right"]["what"] == "different source offsets"), "{broken:?}");
}

#[test]
fn an_offset_that_is_shifted() {
    let home = good();
    run(async {
        let lake = lake(&home);
        let mut table = lake.open_table(&TableId::bronze("events")).await.expect("opens").expect("is there");
        let next = table.offsets("video-events").await.expect("offsets").into_iter().next().expect("an offset").1;
        // A row that says that it came from one offset further on.
        let batch = rows(&lake, "select * from bronze.events where source_partition = 0 and source_offset = 3").await;
        let mut columns = batch.columns().to_vec();
        let at = batch.schema().index_of("source_offset").expect("the column");
        columns[at] = Arc::new(Int64Array::from(vec![next + 1])) as ArrayRef;
        let shifted = RecordBatch::try_new(batch.schema(), columns).expect("a batch");
        let log = shifted["source_log"].as_any().downcast_ref::<StringArray>().expect("text").value(0).to_owned();
        let range =
            OffsetRange { log, topic: "video-events".to_owned(), partition: 0, from: next, next: next + 1, records: 1 };
        table.append_offsets(vec![shifted], &[range]).await.expect("landed");
    });
    let broken = broken(&home, "an offset shifted");
    assert!(broken.iter().any(|e| e["right"]["what"] == "greatest offset of a row + 1"), "{broken:?}");
}

/// Takes one of the rows that a condition names away from a table, and publishes that as the build.
async fn publish_without(lake: &Lake, id: &TableId, key: &str, condition: &str) {
    let mut build = lake.published().await.expect("builds").expect("a build");
    let mut table = lake.open_table(id).await.expect("opens").expect("is there");
    let keys = rows(lake, &format!("select {key} from {id} where {condition} limit 1")).await;
    assert_eq!(keys.num_rows(), 1, "{id} has no row of which {condition}");
    let delete = Delete::Keys { keys, partitions: None, window: None };
    let nothing = table.writer().finish().await.expect("nothing written");
    let version = table.commit(delete, nothing, CommitNote::new("test")).await.expect("committed");
    build.versions.insert(id.clone(), version);
    build.build_id.push_str("-broken");
    lake.publish(&build).await.expect("published");
}

#[test]
fn rows_of_silver_and_gold_that_are_gone() {
    let home = good();
    let group = "video_id, region, view_date";
    let second = "video_id, region, view_date, second_s";
    let bucket = "video_id, region, view_date, bucket_start_s";
    let ranked = "period, video_id";
    // Conditions leave rows that some sum does not notice, such as those that add nothing to it.
    let cases = [
        (TableId::silver("enriched_events"), "source_partition, source_offset", "true"),
        (TableId::silver("watched_segments"), "view_id, start_s, end_s", "ended_by <> 'pause'"),
        (TableId::silver("views"), "view_id", "watch_time_s = 0"),
        (TableId::silver("view_spans"), "view_id", "not has_play"),
        (TableId::gold("viewer_retention"), "video_id", "true"),
        (TableId::gold("viewer_retention_by_region"), "video_id, region", "true"),
        (TableId::gold("retention_changes"), second, "watched_change = 0 and survived_change = 0"),
        (TableId::gold("retention_changes"), second, "plays_change = 0"),
        (TableId::gold("retention_changes"), "second_s", "second_s > 0"),
        (TableId::gold("retention_changes"), second, "second_s = 0"),
        (TableId::gold("retention_curve"), "video_id, second_s", "plays = 0"),
        (TableId::gold("retention_curve"), "video_id, second_s", "plays > 0"),
        (TableId::gold("retention_curve_by_region"), "video_id, region, percentage", "plays = 0"),
        (TableId::gold("drop_off"), bucket, "exits > 0"),
        (TableId::gold("drop_off"), bucket, "exits = 0 and seeks_away > 0 and seeks_in = 0 and pauses = 0"),
        (TableId::gold("drop_off"), bucket, "exits = 0 and seeks_away = 0 and seeks_in > 0 and pauses = 0"),
        (TableId::gold("drop_off"), bucket, "exits = 0 and seeks_away = 0 and seeks_in = 0 and pauses > 0"),
        (TableId::gold("seeks_after_half"), group, "seeks_after_half = 0"),
        (TableId::gold("top_content"), ranked, "period = 'all'"),
        (TableId::gold("top_content"), "period, video_id, view_date", "period = 'day'"),
        (TableId::gold("top_creators"), "creator", "creator is not null"),
        (TableId::gold("top_genres"), "genre", "genre is not null"),
        (TableId::gold("regional_engagement"), "region, view_date, hour_of_day", "hour_of_day is not null"),
    ];
    let lake = lake(&home);
    for (id, key, condition) in cases {
        let before = run(lake.published()).expect("builds").expect("a build");
        run(publish_without(&lake, &id, key, condition));
        let broken = broken(&home, &format!("{id} where {condition}"));
        assert!(
            broken.iter().any(|e| id.to_string().starts_with(e["layer"].as_str().unwrap_or("none"))),
            "{id} where {condition}: {broken:?}"
        );
        run(lake.publish(&before)).expect("published");
        home.ok(&["audit"]);
    }
}
