//! The audit can fail: what is taken away, doubled or shifted behind the program's back is found, and so is a log
//! that is gone or another one. And it shows what was corrected.

mod common;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use common::{Home, repository, text};
use futures::TryStreamExt;
use serde_json::{Value, json};
use streamreel_lake::{CommitNote, Delete, Lake, OffsetRange, Reading, TableId, plan};
use streamreel_viewing::Counters;

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
    let keys = rows(lake, &format!("select {key} from {id} where {condition} limit 1")).await;
    assert_eq!(keys.num_rows(), 1, "{id} has no row of which {condition}");
    publish_replaced(lake, id, keys, None).await;
}

/// Takes the rows with these keys away from a table, writes others in their place, and publishes that as the build.
async fn publish_replaced(lake: &Lake, id: &TableId, keys: RecordBatch, others: Option<RecordBatch>) {
    let mut build = lake.published().await.expect("builds").expect("a build");
    let mut table = lake.open_table(id).await.expect("opens").expect("is there");
    let delete = Delete::Keys { keys, partitions: None, window: None };
    let mut writer = table.writer();
    if let Some(others) = others {
        writer.write(others).await.expect("written");
    }
    let written = writer.finish().await.expect("written");
    let version = table.commit(delete, written, CommitNote::new("test")).await.expect("committed");
    build.versions.insert(id.clone(), version);
    build.build_id.push_str("-broken");
    lake.publish(&build).await.expect("published");
}

/// The columns of a batch with these names, `, ` between them.
fn columns_of(batch: &RecordBatch, names: &str) -> RecordBatch {
    let indices: Vec<usize> =
        names.split(", ").map(|name| batch.schema().index_of(name).expect("the column")).collect();
    batch.project(&indices).expect("columns")
}

/// The batch with 1 taken off every number of a column.
fn one_less(batch: &RecordBatch, column: &str) -> RecordBatch {
    let at = batch.schema().index_of(column).expect("the column");
    let mut columns = batch.columns().to_vec();
    columns[at] = match batch.column(at).as_primitive_opt::<Int64Type>() {
        Some(whole) => Arc::new(whole.unary::<_, Int64Type>(|value| value - 1)) as ArrayRef,
        None => {
            let seconds = batch.column(at).as_primitive::<Float64Type>();
            Arc::new(seconds.unary::<_, Float64Type>(|value| value - 1.0)) as ArrayRef
        }
    };
    RecordBatch::try_new(batch.schema(), columns).expect("a batch")
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

#[test]
fn numbers_of_gold_that_are_wrong() {
    let home = good();
    let (changes, curve) = (TableId::gold("retention_changes"), TableId::gold("retention_curve"));
    let of_change = "video_id, region, view_date, second_s";
    let of_curve = "video_id, second_s";
    let cancel = "those whose retention_changes make up for each other";
    // The column that is 1 less in one row, and the right sides of all equations that do not hold then.
    let mut cases = vec![
        (&changes, of_change, "second_s > 0", "watched_change", format!("{cancel}; retention_changes, watched")),
        (&changes, of_change, "second_s > 0", "survived_change", format!("{cancel}; retention_changes, survived")),
        (&curve, of_curve, "watched > 0", "watched", "retention_curve, watched".to_owned()),
        (&curve, of_curve, "survived > 0", "survived", "retention_curve, survived".to_owned()),
    ];
    let (content, creators, genres) =
        (TableId::gold("top_content"), TableId::gold("top_creators"), TableId::gold("top_genres"));
    let regions = TableId::gold("regional_engagement");
    let hours = "region, view_date, hour_of_day";
    for (id, key, condition, name) in [
        (&content, "period, video_id", "period = 'all'", "top_content, all"),
        (&content, "period, video_id, view_date", "period = 'day'", "top_content, day by day"),
        (&creators, "period, creator", "period = 'all'", "top_creators, all"),
        (&creators, "period, creator, view_date", "period = 'day'", "top_creators, day by day"),
        (&genres, "period, genre", "period = 'all'", "top_genres, all"),
        (&genres, "period, genre, view_date", "period = 'day'", "top_genres, day by day"),
        (&regions, hours, "hour_of_day is null", "regional_engagement, whole days"),
        (&regions, hours, "hour_of_day is not null", "regional_engagement, hour by hour"),
    ] {
        cases.push((id, key, condition, "watch_time_s", format!("{name}: rows with their watch time")));
    }
    let lake = lake(&home);
    for (id, key, condition, column, expected) in cases {
        let before = run(lake.published()).expect("builds").expect("a build");
        let row = run(rows(&lake, &format!("select * from {id} where {condition} limit 1")));
        assert_eq!(row.num_rows(), 1, "{id} has no row of which {condition}");
        let keys = columns_of(&row, key);
        run(publish_replaced(&lake, id, keys.clone(), Some(one_less(&row, column))));
        let broken = broken(&home, &format!("{column} of {id} where {condition}"));
        let sides: Vec<&str> = broken.iter().filter_map(|e| e["right"]["what"].as_str()).collect();
        assert_eq!(sides.join("; "), expected, "{column} of {id} where {condition}");
        // The next one finds the table as it was.
        run(publish_replaced(&lake, id, keys, Some(row)));
        run(lake.publish(&before)).expect("published");
        home.ok(&["audit"]);
    }
}

#[test]
fn what_silver_corrected_is_shown() {
    let home = Home::new();
    let event = |user: &str, at: &str, event_type: &str, position_s: Option<f64>| {
        let timestamp = format!("2025-01-06T20:{at}Z");
        json!({"user_id": user, "video_id": "x", "timestamp": timestamp, "event_type": event_type, "position_s": position_s})
    };
    // Ann seeks to a place that nothing tells for 10.5 s; Bob's player restarts.
    let events = [
        event("ann", "00:00", "play", Some(0.0)),
        event("ann", "00:10", "seek", None),
        event("ann", "00:20.5", "load", None),
        event("bob", "00:00", "play", Some(0.0)),
        event("bob", "00:10", "heartbeat", Some(10.0)),
        event("bob", "01:00", "play", Some(0.0)),
        event("bob", "01:05", "pause", Some(5.0)),
    ];
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let file = home.file("events.ndjson");
    std::fs::write(&file, lines.join("\n")).expect("written");
    home.ok(&["ingest", &file.to_string_lossy()]);
    home.ok(&["process"]);
    assert_eq!(home.json(&["audit"])["counters"], json!([]), "nothing was derived yet");
    home.ok(&["build"]);

    let audit = home.json(&["audit"]);
    let counters = audit["counters"].as_array().expect("counters");
    let names: Vec<&str> = counters.iter().filter_map(|counter| counter["name"].as_str()).collect();
    let all: Vec<&str> = Counters::NAMES.iter().copied().chain(["unplaced_s"]).collect();
    assert_eq!(names, all);
    for counter in counters {
        let expected = match counter["name"].as_str() {
            Some("restarts") => json!(1),
            Some("segments_ended") => json!(3),
            Some("unplaced_s") => json!(10.5),
            _ => json!(0),
        };
        assert_eq!(counter["count"], expected, "{counter}");
    }

    let printed = home.ok(&["audit"]);
    let (_, section) = printed.split_once("counters of silver").expect("a section of counters");
    assert!(all.iter().all(|name| section.contains(*name)), "{section}");
    assert!(section.contains("10.500  unplaced_s"), "{section}");
    assert!(section.lines().all(|line| line.chars().count() <= 80), "{section}");
}

/// How many equations of the topics there are.
fn of_topics(audit: &Value) -> usize {
    audit["equations"].as_array().expect("equations").iter().filter(|e| e["layer"] == "topics").count()
}

/// An audit that does not hold though each of its equations does.
fn left_out(home: &Home, args: &[&str], state: &str) -> String {
    let output = home.run(&[args, &["audit", "--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    let audit: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&audit["holds"], &audit["log"]["state"]), (&json!(false), &json!(state)), "{audit}");
    assert_eq!(of_topics(&audit), 0, "{audit}");
    assert!(audit["equations"].as_array().is_some_and(|all| all.iter().all(|e| e["holds"] == true)), "{audit}");
    let printed = home.run(&[args, &["audit"]].concat());
    assert_eq!(printed.status.code(), Some(1));
    let reason = audit["left_out"].as_str().expect("a reason").to_owned();
    assert!(text(&printed.stdout).contains(&reason), "{}", text(&printed.stdout));
    assert!(text(&printed.stdout).contains("equations of the lake hold"), "{}", text(&printed.stdout));
    reason
}

#[test]
fn a_log_that_is_gone_or_another_one() {
    let home = good();
    let audit = home.json(&["audit"]);
    assert_eq!((&audit["log"], &audit["left_out"]), (&json!({"state": "checked"}), &Value::Null));
    let with_log = audit["equations"].as_array().expect("equations").len();
    assert!(of_topics(&audit) > 0, "{audit}");

    let log = home.path().join("log");
    let moved = home.file("moved");
    std::fs::rename(&log, &moved).expect("moved");
    let reason = left_out(&home, &[], "missing");
    assert!(reason.contains("the log is missing") && reason.contains("--log"), "{reason}");
    assert!(!log.exists(), "an audit made a log");

    // Who names a lake by itself may have no log.
    let in_home = home.path().join("data_lake").to_string_lossy().into_owned();
    let elsewhere = Home::new();
    for at in [&home, &elsewhere] {
        let audit = at.json(&["--lake", &in_home, "audit"]);
        assert_eq!((&audit["holds"], &audit["log"]["state"]), (&json!(true), &json!("missing")), "{audit}");
        assert_eq!(of_topics(&audit), 0, "{audit}");
        let printed = at.ok(&["--lake", &in_home, "audit"]);
        assert!(printed.contains("LEFT OUT: the log is missing") && printed.contains("the lake alone"), "{printed}");
        assert!(!at.path().join("log").exists(), "an audit made a log");
    }

    // Another log in its place.
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    let reason = left_out(&home, &[], "other");
    assert!(home.fails(1, &["process"]).contains(&reason), "{reason}");
    assert!(reason.starts_with("the lake was landed from topic video-events of log "), "{reason}");
    left_out(&home, &["--lake", &in_home], "other");

    std::fs::remove_dir_all(&log).expect("removed");
    std::fs::rename(&moved, &log).expect("moved back");
    let audit = home.json(&["audit"]);
    assert_eq!(audit["equations"].as_array().expect("equations").len(), with_log);
}

#[test]
fn another_log_is_named_by_its_topic_however_the_lake_was_landed() {
    let home = good();
    home.ok(&["process", "--from", "clean"]);
    std::fs::remove_dir_all(home.path().join("log")).expect("removed");
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    let said = home.fails(1, &["process"]);
    assert!(said.contains("landed from topic video-events of log"), "{said}");
    left_out(&home, &[], "other");
}

#[test]
fn a_lake_that_changed_its_way_there_and_back() {
    let home = good();
    home.ok(&["process", "--from", "clean"]);
    home.ok(&["audit"]);
    home.ok(&["ingest", &repository("examples/minimal.ndjson").to_string_lossy()]);
    home.ok(&["process"]);
    home.ok(&["audit"]);
}
