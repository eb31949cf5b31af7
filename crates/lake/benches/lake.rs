//! Landing rate, latency of small commits, keyed delete and opening of a long log, on the disk that `TMPDIR` is on.
//!
//! `cargo bench -p streamreel-lake`; prints one line a figure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::{
    ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use streamreel_lake::{CommitNote, Delete, Lake, OffsetRange, OptimizeScope, Reading, Table, plan, tables};

const DAY_US: i64 = 86_400_000_000;
const KINDS: [&str; 4] = ["play", "heartbeat", "seek", "pause"];

/// A number that looks like none of its neighbours.
fn mix(i: i64) -> u64 {
    (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Rows like those of a simulated day.
fn bronze(from: i64, rows: i64) -> RecordBatch {
    let n = usize::try_from(rows).unwrap_or(0);
    let range = from..from + rows;
    let text = |f: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(range.clone().map(|i| Some(f(i))).collect::<StringArray>())
    };
    let times: Vec<i64> = range.clone().map(|i| 20_000 * DAY_US + i * 1_000 + (mix(i) % 997) as i64).collect();
    let time = TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("outcome", text(&|_| "clean".into())),
        ("event_id", text(&|i| format!("{:016x}{:016x}", mix(i), mix(i + 7)))),
        ("user_id", text(&|i| format!("user-{:06}", mix(i) % 200_000))),
        ("video_id", text(&|i| format!("video-{:04}", mix(i) % 2_000))),
        ("session_id", text(&|i| format!("{:016x}", mix(i / 20)))),
        ("event_type", text(&|i| KINDS[(mix(i) % 4) as usize].into())),
        ("event_ts", Arc::new(time.clone())),
        (
            "position_s",
            Arc::new(range.clone().map(|i| Some((mix(i) % 3_600_000) as f64 / 1e3)).collect::<Float64Array>()),
        ),
        ("region", text(&|i| ["DE", "US", "IN", "BR"][(mix(i / 20) % 4) as usize].into())),
        ("device", text(&|i| ["web", "tv", "ios"][(mix(i / 20) % 3) as usize].into())),
        ("source_log", text(&|_| "8d8ac610-566d-4ef0-9c22-186b2a5ed793".into())),
        ("source_topic", text(&|_| "video-events".into())),
        ("source_partition", Arc::new(Int32Array::from(vec![0; n]))),
        ("source_offset", Arc::new(Int64Array::from_iter_values(range.clone()))),
        ("received_at", Arc::new(time)),
        ("received_date", Arc::new(Date32Array::from(vec![20_000; n]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap_or_else(|e| panic!("{e}"))
}

fn views(day: i32, from: i64, rows: i64) -> RecordBatch {
    let range = from..from + rows;
    let n = usize::try_from(rows).unwrap_or(0);
    let at: Vec<i64> = range.clone().map(|i| i64::from(day) * DAY_US + (i * 7_919 % 86_400) * 1_000_000).collect();
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(at).with_timezone("UTC"));
    let text = |f: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(range.clone().map(|i| Some(f(i))).collect::<StringArray>())
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("view_id", text(&|i| format!("{:016x}{:016x}", mix(i), mix(i + i64::from(day))))),
        ("user_id", text(&|i| format!("user-{:06}", i % 200_000))),
        ("video_id", text(&|i| format!("video-{:04}", i % 2_000))),
        ("view_date", Arc::new(Date32Array::from(vec![day; n]))),
        ("started_at", time.clone()),
        ("ended_at", time),
        ("watch_time_s", Arc::new(Float64Array::from(vec![12.5; n]))),
        ("build_id", text(&|_| "bench".into())),
    ];
    RecordBatch::try_from_iter(columns).unwrap_or_else(|e| panic!("{e}"))
}

async fn land(table: &mut Table, from: i64, batches: Vec<RecordBatch>) {
    let records: i64 = batches.iter().map(|b| b.num_rows() as i64).sum();
    let range = OffsetRange {
        log: "log".into(),
        topic: "video-events".into(),
        partition: 0,
        from,
        next: from + records,
        records,
    };
    if let Err(error) = table.append_offsets(batches, &[range]).await {
        panic!("{error}");
    }
}

fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |p: usize| times[(times.len() - 1) * p / 100];
    format!("p50 {:?} p95 {:?} max {:?}", at(50), at(95), at(100))
}

async fn landing(lake: &Lake) -> Result<(), Box<dyn std::error::Error>> {
    let mut table = lake.create(&tables::bronze_events()).await?;
    let batches: Vec<_> = (0..20).map(|i| bronze(i * 50_000, 50_000)).collect();
    let (began, used) = (Instant::now(), cpu());
    for (i, batch) in (0_i64..).zip(batches) {
        land(&mut table, i * 50_000, vec![batch]).await;
    }
    let (wall, used) = (began.elapsed(), cpu() - used);
    let (files, bytes) = table.size();
    println!(
        "land 1 M rows in commits of 50,000: {:.2} M rows/s, {:.2} us CPU a row, {files} files, {:.1} B a row",
        1.0 / wall.as_secs_f64(),
        used.as_secs_f64(),
        bytes as f64 / 1e6
    );
    let mut next = 1_000_000;
    for commits in [300_i64, 2_000] {
        let batch = bronze(next, 200);
        let mut times = Vec::new();
        for _ in 0..commits {
            let began = Instant::now();
            land(&mut table, next, vec![batch.clone()]).await;
            times.push(began.elapsed());
            next += 200;
        }
        println!(
            "commits of 200 rows, log of {}: {}",
            table.version(),
            percentiles(times.split_off(times.len() - 300))
        );
    }
    let began = Instant::now();
    let mut again = Lake::open(lake.place().clone())?.open_table(table.id()).await?.ok_or("no table")?;
    let offsets = again.transactions().await?.len();
    println!("open at version {} with {offsets} transactions: {:?}", again.version(), began.elapsed());
    let began = Instant::now();
    let session = lake.session(&Reading::Latest).await?;
    let counted =
        plan::sql(&session, "select count(*) from bronze.events where event_type = 'play'").await?.collect().await?;
    println!("scan of {} files: {:?} ({} batches)", table.size().0, began.elapsed(), counted.len());
    let began = Instant::now();
    let report = table.optimize(OptimizeScope::All).await?;
    println!(
        "optimize {} -> {} files, {} rows: {:?}",
        report.files_removed,
        report.files_added,
        report.rows,
        began.elapsed()
    );
    Ok(())
}

async fn deleting(lake: &Lake) -> Result<(), Box<dyn std::error::Error>> {
    let mut table = lake.create(&tables::views()).await?;
    let (began, used) = (Instant::now(), cpu());
    let mut writer = table.writer();
    for i in 0..50 {
        writer.write(views(20_000 + i % 10, i64::from(i) * 20_000, 20_000)).await?;
    }
    let written = writer.finish().await?;
    let files = written.files();
    table.commit(Delete::Nothing, written, CommitNote::new("bench")).await?;
    println!(
        "write 1 M views into {files} files of 10 days: {:?}, {:.2} us CPU a row",
        began.elapsed(),
        (cpu() - used).as_secs_f64()
    );
    for (name, partitions) in [("1 of 10 days", Some(vec!["2024-10-04".to_owned()])), ("all days", None)] {
        let keys = views(20_000, 0, 2_000).project(&[0])?;
        let mut writer = table.writer();
        writer.write(views(20_000, 0, 2_000)).await?;
        let began = Instant::now();
        let delete = Delete::Keys { keys, partitions, window: None };
        let written = writer.finish().await?;
        table.commit(delete, written, CommitNote::new("bench")).await?;
        println!("replace 2,000 keys of 1 M rows, {name}: {:?}", began.elapsed());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let lake = Lake::open(dir.path().join("data_lake"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        landing(&lake).await?;
        deleting(&lake).await
    })
}
