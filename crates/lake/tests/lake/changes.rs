//! Rows taken away and added in one commit; columns that come and change.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use streamreel_lake::{CommitNote, Delete, Error, OptimizeScope, Table, TableSpec, Written};

use crate::support::{DAY_US, View, add, ask_lake, data_files, lake, remove, reopen, view_rows, views_spec};

const ROWS: &str =
    "select view_id, region, view_date, seconds from silver.views order by 1 nulls last, 2 nulls last, 3, 4";

const VIEWS: [View; 6] = [
    (Some("a"), Some("DE"), 20_000, 1, 10),
    (Some("b"), None, 20_000, 1, 20),
    (Some("c"), Some("DE"), 20_000, 5, 30),
    (None, None, 20_001, 1, 40),
    (Some("b"), Some("FR"), 20_001, 2, 50),
    (Some("d"), Some("FR"), 20_001, 2, 60),
];

fn keys(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
}

fn ids(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn delete(keys: RecordBatch) -> Delete {
    Delete::Keys { keys, partitions: None, window: None }
}

async fn delete_only(table: &mut Table, delete: Delete) -> i64 {
    table.commit(delete, Written::default(), CommitNote::new("delete")).await.unwrap()
}

/// The seconds of the rows with a key.
async fn rows_with(
    table: &Table,
    keys: &RecordBatch,
    partitions: Option<&[String]>,
    window: Option<&(String, i64, i64)>,
) -> Vec<String> {
    let mut rows = table.rows_with(keys, partitions, window, &["seconds".to_owned()]).await.unwrap();
    let mut seconds = Vec::new();
    while let Some(batch) = rows.next().await.unwrap() {
        assert_eq!(batch.num_columns(), 1);
        seconds.extend(batch["seconds"].as_primitive::<Int64Type>().values().iter().map(ToString::to_string));
    }
    seconds.sort_unstable();
    seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_by_key_from_the_files_that_have_one() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &VIEWS).await;
    let some = keys(vec![("view_id", ids(&[Some("b"), None])), ("region", ids(&[Some("FR"), None]))]);
    assert_eq!(rows_with(&views, &some, None, None).await, ["40", "50"]);
    assert_eq!(rows_with(&views, &keys(vec![("view_id", ids(&[Some("zz")]))]), None, None).await, [""; 0]);
    for file in data_files(&views).await {
        remove(&views.place(), &file).await;
    }
    let mut gone = views.rows_with(&some, None, None, &["seconds".to_owned()]).await.unwrap();
    let error = gone.next().await.unwrap_err();
    assert!(matches!(error, Error::DataFile { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_match_as_rows_do_nulls_included() {
    let days = |values: &[i32]| -> ArrayRef { Arc::new(Date32Array::from(values.to_vec())) };
    let cases: Vec<(&str, RecordBatch, &[i64])> = vec![
        ("one column", keys(vec![("view_id", ids(&[Some("b")]))]), &[10, 30, 40, 60]),
        ("null", keys(vec![("view_id", ids(&[None]))]), &[10, 20, 30, 50, 60]),
        (
            "null beside a value",
            keys(vec![("view_id", ids(&[Some("b")])), ("region", ids(&[None]))]),
            &[10, 30, 40, 50, 60],
        ),
        (
            "a group with the partition",
            keys(vec![("region", ids(&[Some("DE"), None])), ("view_date", days(&[20_000, 20_001]))]),
            &[20, 50, 60],
        ),
        ("no such key", keys(vec![("view_id", ids(&[Some("zz")]))]), &[10, 20, 30, 40, 50, 60]),
        ("no keys", keys(vec![("view_id", ids(&[]))]), &[10, 20, 30, 40, 50, 60]),
        ("a number", keys(vec![("seconds", Arc::new(Int64Array::from(vec![60, 10])) as ArrayRef)]), &[20, 30, 40, 50]),
        ("all", keys(vec![("region", ids(&[Some("DE"), Some("FR"), None]))]), &[]),
    ];
    for (name, keys, left) in cases {
        let (_dir, lake) = lake();
        let mut views = lake.create(&views_spec(&[])).await.unwrap();
        add(&mut views, &VIEWS).await;
        delete_only(&mut views, delete(keys)).await;
        let found = ask_lake(&reopen(&lake), "select seconds from silver.views order by 1").await;
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        assert_eq!(found, left, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_with_a_key_are_rewritten() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &VIEWS).await;
    let before = data_files(&views).await;
    // Two slots on each of two days.
    assert_eq!(before.len(), 4);
    let mut writer = views.writer();
    writer.write(view_rows(&[(Some("b"), Some("IT"), 20_001, 2, 70)])).await.unwrap();
    let written = writer.finish().await.unwrap();
    let version =
        views.commit(delete(keys(vec![("view_id", ids(&[Some("b")]))])), written, CommitNote::new("derive")).await;
    assert_eq!(version.unwrap(), 2);
    assert_eq!(
        ask_lake(&lake, ROWS).await,
        ["a DE 2024-10-04 10", "b IT 2024-10-05 70", "c DE 2024-10-04 30", "d FR 2024-10-05 60", "- - 2024-10-05 40"]
    );
    // c's slot and that of the null kept their files; two were replaced and one came with new rows.
    assert_eq!(views.size().0, 5);
    assert_eq!(data_files(&views).await.len(), 7);
    let unchanged = delete_only(&mut views, delete(keys(vec![("view_id", ids(&[Some("zz")]))]))).await;
    assert_eq!(unchanged, 2);
}

/// Name, partitions, window, seconds of the rows that are left.
type Limited = (&'static str, Option<Vec<String>>, Option<(String, i64, i64)>, &'static [&'static str]);

#[tokio::test(flavor = "multi_thread")]
async fn partitions_and_window_limit_where_keys_are_looked_for() {
    let at = |day: i64, hour: i64| day * DAY_US + hour * 3_600_000_000;
    let window = |from, to| Some(("started_at".to_owned(), from, to));
    let day = |text: &str| Some(vec![text.to_owned()]);
    let cases: Vec<Limited> = vec![
        ("all", None, None, &[]),
        ("a day", day("2024-10-04"), None, &["50"]),
        ("no such day", day("2024-10-06"), None, &["20", "50"]),
        ("an hour", None, window(at(20_001, 2), at(20_001, 3)), &["20"]),
        ("both", day("2024-10-04"), window(at(20_001, 0), at(20_002, 0)), &["20", "50"]),
        // Statistics keep milliseconds: the row is 456 us behind the bound that they name.
        ("the very microsecond", None, window(at(20_000, 1) + 123_456, at(20_000, 1) + 123_456), &["50"]),
    ];
    for (name, partitions, window, left) in cases {
        let (_dir, lake) = lake();
        let mut views = lake.create(&views_spec(&[])).await.unwrap();
        add(&mut views, &VIEWS).await;
        let keys = keys(vec![("view_id", ids(&[Some("b")]))]);
        let mut read = rows_with(&views, &keys, partitions.as_deref(), window.as_ref()).await;
        read.extend(left.iter().map(|&seconds| seconds.to_owned()));
        read.sort_unstable();
        assert_eq!(read, ["20", "50"], "{name}: what is read is what is taken away");
        delete_only(&mut views, Delete::Keys { keys, partitions, window }).await;
        let found = ask_lake(&lake, "select seconds from silver.views where view_id = 'b' order by 1").await;
        assert_eq!(found, left, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_an_old_snapshot_is_refused() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    for view in VIEWS {
        add(&mut views, &[view]).await;
    }
    let b = || delete(keys(vec![("view_id", ids(&[Some("b")]))]));
    // Compaction replaced the files that the old snapshot would remove: both would bring their rows back.
    let mut stale = views.clone();
    let mut again = views.clone();
    for _ in 0..3 {
        add(&mut views, &[(Some("e"), None, 20_001, 2, 1)]).await;
    }
    views.optimize(OptimizeScope::All).await.unwrap();
    let lost = stale.commit(b(), Written::default(), CommitNote::new("delete")).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    let lost = again.commit(Delete::All, Written::default(), CommitNote::new("delete")).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    assert_eq!(ask_lake(&lake, "select count(*) from silver.views").await, ["9"]);
    // Only added, nothing compacted: refused too, as the new row may have the key.
    let mut stale = views.clone();
    add(&mut views, &[(Some("b"), None, 20_001, 9, 1)]).await;
    let lost = stale.commit(b(), Written::default(), CommitNote::new("delete")).await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    // Rows alone may come in any order.
    let mut stale = views.clone();
    add(&mut views, &[(Some("g"), None, 20_001, 9, 1)]).await;
    add(&mut stale, &[(Some("h"), None, 20_001, 9, 1)]).await;
    views.refresh().await.unwrap();
    // Only compacted, nothing added: still refused, as a file is gone.
    let mut stale = views.clone();
    for hour in [1, 2, 3, 4] {
        add(&mut views, &[(Some("f"), None, 20_000, hour, 1)]).await;
        stale.refresh().await.unwrap();
    }
    views.optimize(OptimizeScope::All).await.unwrap();
    let lost = stale
        .commit(delete(keys(vec![("view_id", ids(&[Some("f")]))])), Written::default(), CommitNote::default())
        .await;
    assert!(matches!(lost, Err(Error::Conflict { .. })), "{lost:?}");
    assert_eq!(ask_lake(&lake, "select count(*), count(distinct seconds) from silver.views").await, ["16 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_goes_on_from_the_last_one_and_from_nothing_else() {
    async fn build(mut table: Table, view: &'static str) -> Result<i64, Error> {
        let mut writer = table.writer();
        writer.write(view_rows(&[(Some(view), None, 20_000, 1, 5)])).await?;
        let note = CommitNote::new("derive").of_build(view);
        table.commit(Delete::Nothing, writer.finish().await?, note).await
    }
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    let last = BTreeMap::from([(views.id().clone(), add(&mut views, &VIEWS[..1]).await)]);
    let ids = "select view_id from silver.views order by 1";
    // What an interrupted build has left goes.
    add(&mut views, &[(Some("left"), None, 20_000, 1, 5)]).await;
    let base = lake.roll_back(&last).await.unwrap();
    assert_eq!(ask_lake(&lake, ids).await, ["a"]);
    // One that is not over commits before this one has begun to write.
    let other = reopen(&lake).roll_back(&last).await.unwrap();
    build(other.create(&views_spec(&[])).await.unwrap(), "lost").await.unwrap();
    let refused = build(base.create(&views_spec(&[])).await.unwrap(), "next").await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let refused = build(base.open_table(views.id()).await.unwrap().unwrap(), "next").await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let refused = base.create(&views_spec(&[("stars", DataType::Int64)])).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let base = lake.roll_back(&last).await.unwrap();
    build(base.create(&views_spec(&[])).await.unwrap(), "next").await.unwrap();
    assert_eq!(ask_lake(&lake, ids).await, ["a", "next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn further_columns_are_added_and_old_rows_have_null_there() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &VIEWS[..2]).await;
    let spec = views_spec(&[("user_plan", DataType::Utf8), ("stars", DataType::Int64)]);
    let mut views = lake.create(&spec).await.unwrap();
    assert_eq!(views.schema().fields().len(), 7);
    let mut writer = views.writer();
    let plan: ArrayRef = ids(&[Some("pro")]);
    let rows = view_rows(&[(Some("n"), None, 20_000, 1, 5)]);
    let mut columns: Vec<(String, ArrayRef)> =
        rows.schema().fields().iter().zip(rows.columns()).map(|(f, c)| (f.name().clone(), c.clone())).collect();
    columns.push(("user_plan".into(), plan));
    writer.write(RecordBatch::try_from_iter(columns).unwrap()).await.unwrap();
    let written = writer.finish().await.unwrap();
    views.commit(Delete::Nothing, written, CommitNote::new("add")).await.unwrap();
    let sql = "select view_id, user_plan, stars from silver.views order by 1";
    assert_eq!(ask_lake(&lake, sql).await, ["a - -", "b - -", "n pro -"]);
    // Rewriting an old file keeps the null.
    delete_only(&mut views, delete(keys(vec![("view_id", ids(&[Some("a")]))]))).await;
    assert_eq!(ask_lake(&reopen(&lake), sql).await, ["b - -", "n pro -"]);
    // The older spec still opens it.
    assert_eq!(lake.create(&views_spec(&[])).await.unwrap().schema().fields().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_types_are_refused_and_come_with_a_replacement() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    add(&mut views, &VIEWS).await;
    let fields = vec![Field::new("view_id", DataType::Utf8, true), Field::new("seconds", DataType::Float64, true)];
    let other = TableSpec::new(views.id().clone(), Arc::new(Schema::new(fields)));
    let refused = lake.create(&other).await;
    assert!(matches!(refused, Err(Error::SchemaChanged { .. })), "{refused:?}");
    let rows =
        || keys(vec![("view_id", ids(&[Some("x")])), ("seconds", Arc::new(Int64Array::from(vec![3])) as ArrayRef)]);
    let mut writer = views.writer_for(&other);
    writer.write(rows()).await.unwrap();
    let part = views.commit(Delete::Nothing, writer.finish().await.unwrap(), CommitNote::default()).await;
    assert!(matches!(part, Err(Error::SchemaChanged { .. })), "{part:?}");
    let mut writer = views.writer_for(&other);
    writer.write(rows()).await.unwrap();
    let version = views.commit(Delete::All, writer.finish().await.unwrap(), CommitNote::new("replace")).await.unwrap();
    assert_eq!(ask_lake(&reopen(&lake), "select * from silver.views").await, ["x 3.0"]);
    assert!(views.partition_by().is_empty());
    lake.create(&other).await.unwrap();
    // And back, columns and partitions included.
    assert_eq!(views.restore(1).await.unwrap(), version + 1);
    assert_eq!(ask_lake(&reopen(&lake), ROWS).await.len(), 6);
    lake.create(&views_spec(&[])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused() {
    let (_dir, lake) = lake();
    let views = lake.create(&views_spec(&[])).await.unwrap();
    let cases = [
        ("no column", keys(vec![("view_id", ids(&[Some("x")])), ("colour", ids(&[None]))])),
        ("seconds", keys(vec![("seconds", ids(&[Some("many")]))])),
    ];
    for (name, rows) in cases {
        let result = views.writer().write(rows).await;
        assert!(matches!(&result, Err(Error::Rows { what, .. }) if what.contains(name)), "{name}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_places_are_written_with_bounded_files() {
    let (_dir, lake) = lake();
    let mut views = lake.create(&views_spec(&[])).await.unwrap();
    let mut writer = views.writer();
    for chunk in 0..40_i64 {
        let rows: Vec<View> =
            (0..2_000).map(|i| (Some("v"), None, 20_000 + i % 5, (chunk + i64::from(i)) % 24, i64::from(i))).collect();
        writer.write(view_rows(&rows)).await.unwrap();
    }
    assert_eq!(writer.rows(), 80_000);
    let written = writer.finish().await.unwrap();
    assert_eq!((written.rows, written.files()), (80_000, 120));
    views.commit(Delete::Nothing, written, CommitNote::default()).await.unwrap();
    assert_eq!(views.rows(), 80_000);
    let sql = "select count(*), sum(seconds), count(distinct view_date) from silver.views";
    assert_eq!(ask_lake(&lake, sql).await, ["80000 79960000 5"]);
}
