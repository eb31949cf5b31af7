//! The kernel over batches: groups, gaps, copies, pieces, columns, errors.

mod support;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use streamreel_event::{EventType, IdField, hash_id};
use streamreel_viewing::{Error, OutputSchemas, Sessioniser, Settings};
use support::batches::{Row, batch, cells, everything, grouped, sessionise};

/// Rows of one group from text.
fn rows(user: &str, video: &str, session: Option<&str>, text: &str) -> Vec<Row> {
    let row = |w: support::Written| Row { carried: w.carried, ..Row::new(user, video, session, &w.id, w.event) };
    support::parse(text).into_iter().map(row).collect()
}

fn run(rows: &[Row]) -> (streamreel_viewing::Output, streamreel_viewing::Totals) {
    sessionise(&grouped(rows.to_vec()), 1000, &Settings::default())
}

#[test]
fn groups_are_user_video_and_session() {
    let mut all = rows("u1", "v1", Some("a"), "0:play 0, 10:pause 10");
    all.extend(rows("u1", "v1", Some("b"), "5:play 50, 15:pause 60"));
    all.extend(rows("u1", "v1", None, "0:play 20, 5:pause 25"));
    all.extend(rows("u1", "v2", Some("a"), "0:play 7, 5:pause 12"));
    all.extend(rows("u2", "v1", Some("a"), "0:play 8, 5:pause 13"));
    let (output, totals) = run(&all);
    let expected =
        ["u1 v1 - 20.0 25.0", "u1 v1 a 0.0 10.0", "u1 v1 b 50.0 60.0", "u1 v2 a 7.0 12.0", "u2 v1 a 8.0 13.0"];
    let views = cells(&output.views, "user_id video_id session_id");
    let segments = cells(&output.segments, "start_s end_s");
    let both: Vec<String> = views.iter().zip(&segments).map(|(v, s)| format!("{v} {s}")).collect();
    assert_eq!(both, expected);
    assert_eq!((totals.events_in, totals.events, totals.views), (10, 10, 5));
}

#[test]
fn without_a_session_a_gap_of_more_than_30_minutes_splits() {
    let (output, _) = run(&rows("u", "v", None, "0:play 0, 10:pause 10, 1810:play 10, 1820:pause 20"));
    assert_eq!(cells(&output.views, "watch_time_s started_at ended_at"), ["20.0 0 1820000"]);
    let (output, _) = run(&rows("u", "v", None, "0:play 0, 10:pause 10, 1810.000001:play 10, 1820:pause 20"));
    assert_eq!(cells(&output.views, "watch_time_s started_at ended_at"), ["10.0 0 10000", "10.0 1810000 1820000"]);
    let (output, _) = run(&rows("u", "v", Some("s"), "0:play 0, 10:pause 10, 9810:play 10, 9820:pause 20"));
    assert_eq!(cells(&output.views, "watch_time_s"), ["20.0"]);
}

#[test]
fn the_view_id_is_of_user_video_and_session_or_first_time() {
    let mut all = rows("u", "v", Some("s"), "3:play 0, 10:pause 10");
    all.extend(rows("u", "v", None, "8:pause 10, 3:play 0"));
    let (output, _) = run(&all);
    let id = |last| hash_id(["u".into(), "v".into(), last], &mut Vec::new()).as_str().to_owned();
    assert_eq!(cells(&output.views, "view_id"), [id(IdField::Integer(3_000_000)), id("s".into())]);
    assert_eq!(cells(&output.enriched, "view_id")[0], id(IdField::Integer(3_000_000)));
}

#[test]
fn second_copies_are_dropped_and_counted_with_those_of_before() {
    let text = "0:play 0 id a dup 2, 5:pause 5 id b, 0:play 0 id a, 0:play 0 id a dup 1, 9:error id c";
    let mut all = rows("u", "v", Some("s"), text);
    for (row, offset) in all.iter_mut().zip([30, 31, 10, 20, 5]) {
        row.offset = offset;
    }
    all.extend(rows("u", "w", Some("s"), "0:pause 0 id a, 0:pause 0 id a"));
    let (output, totals) = run(&all);
    let enriched = cells(&output.enriched, "video_id event_id source_offset late_duplicates");
    // The copy whose record came first stays, and carries the count of all.
    assert_eq!(enriched, ["v a 10 5", "v b 31 0", "v c 5 0", "w a 0 1"]);
    assert_eq!(cells(&output.views, "late_duplicates watch_time_s"), ["5 5.0"]);
    assert_eq!((totals.counters.late_duplicates, totals.events_in, totals.events), (6, 7, 4));
}

#[test]
fn without_a_play_there_is_no_view_but_its_events_stay() {
    let mut all = rows("u", "v", Some("s"), "0:load 0, 5:pause 5, 6:seek 5->9");
    all.extend(rows("u", "w", Some("s"), "0:play 0"));
    let (output, totals) = run(&all);
    assert_eq!(cells(&output.views, "video_id watch_time_s exit_s"), ["w 0.0 -"]);
    assert_eq!(
        cells(&output.spans, "video_id session_id events has_play first_event_at last_event_at view_date"),
        ["v s 3 false 0 6000 1970-01-01", "w s 1 true 0 0 1970-01-01"]
    );
    assert_eq!(output.enriched.num_rows(), 4);
    assert_eq!((totals.views, totals.sessions_without_play), (1, 1));
}

#[test]
fn region_and_device_are_the_first_given_and_the_date_is_that_of_the_first_event() {
    let mut all = rows("u", "v", Some("s"), "86399:load, 86401:play 0, 86411:seek 10->20, 86421:pause 30");
    all[2].region = Some("DE".to_owned());
    all[3].region = Some("FR".to_owned());
    all[1].device = Some("tv".to_owned());
    all[2].device = Some("phone".to_owned());
    all.reverse();
    let (output, _) = run(&all);
    assert_eq!(cells(&output.views, "region device view_date started_at"), ["DE tv 1970-01-01 86399000"]);
    assert_eq!(
        cells(&output.enriched, "region view_date"),
        ["- 1970-01-01", "- 1970-01-01", "DE 1970-01-01", "FR 1970-01-01"]
    );
    assert_eq!(
        cells(
            &output.segments,
            "region view_date segment_index start_s end_s started_at ended_at playing_time_s ended_by"
        ),
        [
            "DE 1970-01-01 0 0.0 10.0 86401000 86411000 10.0 seek",
            "DE 1970-01-01 1 20.0 30.0 86411000 86421000 10.0 pause"
        ]
    );
    assert_eq!(
        cells(&output.seeks, "region view_date seek_index seeked_at from_s to_s is_after_half"),
        ["DE 1970-01-01 0 86411000 10.0 20.0 false"]
    );
}

#[test]
fn metadata_goes_through_and_the_duration_is_effective() {
    let mut all = rows("usr", "v", Some("s"), "0:play 0 dur 40, 10:pause 10, 11:heartbeat, 12:pause 45");
    for row in &mut all {
        row.title = Some("Film".to_owned());
    }
    let (output, _) = run(&all);
    let columns = "title creator genre video_duration_s watch_time_percentage published_at user_plan";
    assert_eq!(cells(&output.views, columns), ["Film studio - 40.0 25.0 2026-01-01 pro"]);
    assert_eq!(
        cells(&output.enriched, "video_duration_s watch_time_percentage user_plan"),
        ["40.0 0.0 pro", "40.0 25.0 pro", "40.0 - pro", "40.0 100.0 pro"]
    );
    for row in &mut all {
        row.metadata_s = Some(20.0);
    }
    let (output, _) = run(&all);
    assert_eq!(cells(&output.views, "video_duration_s duration_conflicts"), ["20.0 1"]);
}

#[test]
fn pieces_of_any_size_give_the_same_in_bounded_outputs() {
    let mut all = vec![];
    for user in 0..300 {
        for second in 0..150i64 {
            let id = format!("{second}");
            let mut event = Row::at(second * 1_000_000, EventType::Heartbeat);
            event.position_s = Some(second as f64);
            all.push(Row::new(&format!("u{user:03}"), "v", (user % 2 == 0).then_some("s"), &id, event));
        }
    }
    // One group larger than an output.
    for second in 0..70_000i64 {
        let event = Row::at(second * 1_000_000, EventType::Heartbeat);
        all.push(Row::new("u900", "v", Some("s"), &format!("{second}"), event));
    }
    let (expected, totals) = sessionise(&all, all.len(), &Settings::default());
    assert_eq!((totals.events, totals.views), (115_000, 300));
    for piece in [777, 8192, 40_000] {
        let (output, _) = sessionise(&all, piece, &Settings::default());
        assert_eq!(output.views, expected.views);
        assert_eq!(output.segments, expected.segments);
        assert_eq!(output.spans, expected.spans);
        assert_eq!(output.enriched, expected.enriched);
    }
    let mut sessioniser = Sessioniser::new(Settings::default(), batch(&all[..0]).schema_ref()).unwrap();
    sessioniser.push(&batch(&all)).unwrap();
    sessioniser.finish().unwrap();
    let sizes: Vec<usize> = std::iter::from_fn(|| sessioniser.take_output()).map(|o| o.enriched.num_rows()).collect();
    assert!(sizes.iter().all(|&size| size <= 32_768) && sizes.len() < 8, "{sizes:?}");
}

#[test]
fn encodings_of_text_and_time_do_not_reach_the_output() {
    let all = rows("u", "v", Some("s"), "0:play 0, 10:pause 10");
    let plain = batch(&all);
    let (expected, _) = run(&all);
    let columns = plain.schema_ref().fields().iter().zip(plain.columns()).map(|(field, column)| {
        let other = match (field.name().as_str(), column.data_type()) {
            ("event_ts", _) => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            ("received_at", _) => DataType::Timestamp(TimeUnit::Microsecond, Some("Etc/UTC".into())),
            ("user_id" | "published_at", DataType::Utf8) => DataType::Utf8View,
            ("device", _) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            (_, DataType::Utf8) => DataType::LargeUtf8,
            (_, same) => same.clone(),
        };
        let column: ArrayRef = match &other {
            // The library cannot cast between named zones.
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
                use arrow_array::{cast::AsArray, types::TimestampMicrosecondType};
                Arc::new(column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(Arc::clone(zone)))
            }
            other => cast(column, other).unwrap(),
        };
        (field.name().clone(), column, true)
    });
    let other = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut sessioniser = Sessioniser::new(Settings::default(), other.schema_ref()).unwrap();
    sessioniser.push(&other).unwrap();
    sessioniser.finish().unwrap();
    let output = sessioniser.take_output().unwrap();
    assert_eq!(everything(&output, &[]), everything(&expected, &[]));
    assert_eq!(output.enriched.schema(), expected.enriched.schema());
}

#[test]
fn the_views_table_has_the_columns_of_the_contract_in_order() {
    let schemas = OutputSchemas::new(batch(&[]).schema_ref()).unwrap();
    let names: Vec<&str> = schemas.views.fields().iter().map(|f| f.name().as_str()).collect();
    let contract = "view_id user_id video_id session_id region device title creator genre view_date started_at ended_at \
        video_duration_s watch_time_s unique_s playing_time_s watch_time_percentage furthest_s exit_s is_completed is_engaged \
        pauses seeks seeks_after_half has_unreported_seek";
    assert_eq!(names[..25].join(" "), contract);
    assert_eq!(names[names.len() - 3..], ["unplaced_s", "published_at", "user_plan"]);
}

#[test]
fn wrong_input_is_refused_by_name() {
    let all = rows("u", "v", Some("s"), "0:play 0, 10:pause 10");
    let good = batch(&all);
    let error = |rows: &[Row]| {
        let mut sessioniser = Sessioniser::new(Settings::default(), good.schema_ref()).unwrap();
        rows.chunks(1)
            .try_for_each(|piece| sessioniser.push(&batch(piece)))
            .and_then(|()| sessioniser.finish())
            .unwrap_err()
    };
    let mut unsorted = rows("w", "v", None, "0:play 0");
    unsorted.extend(all.clone());
    assert!(matches!(error(&unsorted), Error::NotSorted { row: 1, .. }));
    let mut nulls_last = all.clone();
    nulls_last.extend(rows("u", "v", None, "0:play 0"));
    assert!(matches!(error(&nulls_last), Error::NotSorted { row: 2, .. }));

    let without = good.project(&(1..good.num_columns()).collect::<Vec<_>>()).unwrap();
    let refused = OutputSchemas::new(without.schema_ref()).unwrap_err();
    assert!(matches!(refused, Error::MissingColumn { column: "event_id" }));

    let further = |name: &str| {
        let mut columns: Vec<(String, ArrayRef, bool)> = (good.schema_ref().fields().iter().zip(good.columns()))
            .map(|(field, column)| (field.name().clone(), Arc::clone(column), true))
            .collect();
        columns.push((name.to_owned(), Arc::new(StringArray::from(vec!["x"; good.num_rows()])), true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    let refused = OutputSchemas::new(further("unique_s").schema_ref()).unwrap_err();
    assert!(matches!(refused, Error::ColumnCollision { table: "views", .. }));

    let mut sessioniser = Sessioniser::new(Settings::default(), good.schema_ref()).unwrap();
    assert!(matches!(sessioniser.push(&further("more")), Err(Error::SchemaChanged { .. })));

    let mut columns = good.columns().to_vec();
    columns[4] = Arc::new(StringArray::from(vec![Some("play"), None]));
    let missing = RecordBatch::try_new(good.schema(), columns.clone()).unwrap();
    sessioniser.push(&missing).unwrap();
    assert!(matches!(sessioniser.finish(), Err(Error::MissingValue { column: "event_type", row: 1 })));
    columns[4] = Arc::new(StringArray::from(vec!["play", "rewind"]));
    let unknown = RecordBatch::try_new(good.schema(), columns).unwrap();
    let mut sessioniser = Sessioniser::new(Settings::default(), good.schema_ref()).unwrap();
    sessioniser.push(&unknown).unwrap();
    assert!(matches!(sessioniser.finish(), Err(Error::UnknownEventType { row: 1, .. })));
}

#[test]
fn nothing_in_nothing_out() {
    let (output, totals) = run(&[]);
    assert_eq!((output.enriched.num_rows(), output.views.num_rows(), totals.views), (0, 0, 0));
}
