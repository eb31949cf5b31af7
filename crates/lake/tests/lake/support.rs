//! Small lakes and rows for the tests, in a folder or, in the test program `s3`, in a bucket.

use std::{sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use object_store::{
    ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, local::LocalFileSystem, path::Path as Key, prefix::PrefixStore,
};
use streamreel_lake::{
    CommitNote, Delete, Lake, OffsetRange, Place, Reading, Settings, Table, TableId, TableSpec, plan,
};
use tempfile::TempDir;

pub const DAY_US: i64 = 86_400_000_000;
pub const LOG: &str = "log-a";

pub fn settings() -> Settings {
    let lease_expiry = Duration::from_secs(2);
    Settings { durable: false, checkpoint_every: 10, lease_expiry, ..Settings::default() }
}

/// Whether this is the test program that runs on a store.
pub fn is_on_a_store() -> bool {
    env!("CARGO_CRATE_NAME") == "s3"
}

/// The bucket of a server that is there for the tests; `AWS_*` say how to reach it.
pub fn bucket() -> String {
    std::env::var("STREAMREEL_TEST_S3")
        .expect("STREAMREEL_TEST_S3 names a bucket; `cargo xtask s3` starts a server with one")
}

/// Where nothing is yet.
pub fn place(dir: &TempDir) -> Place {
    if is_on_a_store() {
        return format!("s3://{}/{}", bucket(), uuid::Uuid::new_v4()).parse().unwrap();
    }
    dir.path().join("data_lake").into()
}

pub fn lake() -> (TempDir, Lake) {
    let dir = TempDir::new().unwrap();
    let lake = Lake::open_with(place(&dir), settings()).unwrap();
    (dir, lake)
}

/// The same place as another process would see it.
pub fn reopen(lake: &Lake) -> Lake {
    Lake::open_with(lake.place().clone(), settings()).unwrap()
}

/// What is at a place, past the lake.
pub fn objects(place: &Place) -> Arc<dyn ObjectStore> {
    match place {
        Place::Folder(path) => {
            std::fs::create_dir_all(path).unwrap();
            Arc::new(LocalFileSystem::new_with_prefix(path).unwrap())
        }
        Place::Bucket { name, prefix } => {
            let bucket = AmazonS3Builder::from_env().with_bucket_name(&**name).build().unwrap();
            Arc::new(PrefixStore::new(bucket, &**prefix))
        }
    }
}

pub async fn get(place: &Place, name: &str) -> Vec<u8> {
    objects(place).get(&Key::from(name)).await.unwrap().bytes().await.unwrap().to_vec()
}

pub async fn put(place: &Place, name: &str, bytes: impl Into<bytes::Bytes>) {
    objects(place).put(&Key::from(name), bytes.into().into()).await.unwrap();
}

pub async fn remove(place: &Place, name: &str) {
    objects(place).delete(&Key::from(name)).await.unwrap();
}

pub async fn is_there(place: &Place, name: &str) -> bool {
    objects(place).head(&Key::from(name)).await.is_ok()
}

pub fn range(partition: i32, from: i64, next: i64) -> OffsetRange {
    OffsetRange { log: LOG.into(), topic: "video-events".into(), partition, from, next, records: next - from }
}

/// One bronze row an offset.
pub fn bronze_rows(partition: i32, from: i64, next: i64) -> RecordBatch {
    let n = usize::try_from(next - from).unwrap();
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; n])) };
    let users: StringArray = (from..next).map(|o| Some(format!("u{:05}", o % 1000))).collect();
    let at: Vec<i64> = (from..next).map(|o| 20_000 * DAY_US + o * 1_000_001).collect();
    let time = TimestampMicrosecondArray::from(at).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("outcome", text("clean")),
        ("user_id", Arc::new(users)),
        ("event_ts", Arc::new(time.clone())),
        ("position_s", Arc::new(Float64Array::from(vec![1.5; n]))),
        ("source_log", text(LOG)),
        ("source_topic", text("video-events")),
        ("source_partition", Arc::new(Int32Array::from(vec![partition; n]))),
        ("source_offset", Arc::new(Int64Array::from_iter_values(from..next))),
        ("received_at", Arc::new(time)),
        ("received_date", Arc::new(Date32Array::from(vec![20_000; n]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A small table in the way of silver: keyed, dated, clustered by the hour.
pub fn views_spec(further: &[(&str, DataType)]) -> TableSpec {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("view_id", DataType::Utf8, true),
        Field::new("region", DataType::Utf8, true),
        Field::new("view_date", DataType::Date32, true),
        Field::new("started_at", timestamp, true),
        Field::new("seconds", DataType::Int64, true),
    ];
    fields.extend(further.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)));
    TableSpec::new(TableId::silver("views"), Arc::new(Schema::new(fields)))
        .partitioned_by(["view_date"])
        .clustered_by("started_at", Duration::from_secs(3600))
}

/// A view: id, region, day, hour, seconds.
pub type View = (Option<&'static str>, Option<&'static str>, i32, i64, i64);

pub fn view_rows(views: &[View]) -> RecordBatch {
    let ids: StringArray = views.iter().map(|v| v.0).collect();
    let regions: StringArray = views.iter().map(|v| v.1).collect();
    let days = Date32Array::from_iter_values(views.iter().map(|v| v.2));
    let at: Vec<i64> = views.iter().map(|v| i64::from(v.2) * DAY_US + v.3 * 3_600_000_000 + 123_456).collect();
    let seconds = Int64Array::from_iter_values(views.iter().map(|v| v.4));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("view_id", Arc::new(ids)),
        ("region", Arc::new(regions)),
        ("view_date", Arc::new(days)),
        ("started_at", Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC"))),
        ("seconds", Arc::new(seconds)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

pub async fn add(table: &mut Table, views: &[View]) -> i64 {
    let mut writer = table.writer();
    writer.write(view_rows(views)).await.unwrap();
    let written = writer.finish().await.unwrap();
    table.commit(Delete::Nothing, written, CommitNote::new("add")).await.unwrap()
}

pub async fn session(lake: &Lake) -> SessionContext {
    lake.session(&Reading::Latest).await.unwrap()
}

/// Result of a query as text, cells separated by blanks.
pub async fn ask(session: &SessionContext, sql: &str) -> Vec<String> {
    let batches = plan::sql(session, sql).await.unwrap().collect().await.unwrap();
    let options = datafusion::arrow::util::display::FormatOptions::default().with_null("-");
    let mut lines = Vec::new();
    for batch in batches {
        let cells: Vec<_> = batch
            .columns()
            .iter()
            .map(|c| datafusion::arrow::util::display::ArrayFormatter::try_new(c.as_ref(), &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            lines.push(cells.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

pub async fn ask_lake(lake: &Lake, sql: &str) -> Vec<String> {
    ask(&session(lake).await, sql).await
}

/// Names of the data files below a table.
pub async fn data_files(table: &Table) -> Vec<String> {
    let listed: Vec<_> = objects(&table.place()).list(None).try_collect().await.unwrap();
    let names = listed.into_iter().map(|meta| meta.location.to_string());
    let mut found: Vec<String> =
        names.filter(|name| name.ends_with(".parquet") && !name.starts_with("_delta_log")).collect();
    found.sort();
    found
}
