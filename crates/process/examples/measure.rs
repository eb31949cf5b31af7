//! Measures cleaning: CPU time an event, rate and memory, one line of JSON each.
//!
//! ```text
//! measure generate N FILE     N events as NDJSON, about 210 bytes each, 2 % copies, 1 % not valid
//! measure direct FILE DIR     file -> decode, deduplicate -> Delta, without topics (what benches/duckdb_clean.py does)
//! measure fill FILE DIR       puts the file into the log in DIR
//! measure log FILE DIR        the same unless DIR has a log, then measures log -> cleaned topics + bronze
//! ```

#[path = "../../streamreel/src/allocator.rs"]
mod allocator;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use streamreel_dedupe::Window;
use streamreel_event::{KeyScratch, producer_key};
use streamreel_lake::{Lake, OffsetRange, tables};
use streamreel_process::{Cleaner, Counts, KeepPayload, Origin, Processor, Settings, Stretch, Until, Wanted, names};
use streamreel_topic::{EmbeddedLog, Log, Offsets, Records, RecordsBuilder, partition_for};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// 2030-01-01T00:00:00Z: the arrival of every record of a file, so that all copies are inside the window.
const ARRIVAL_MS: i64 = 1_893_456_000_000;
const BATCH: usize = 8_192;
const COMMIT: usize = 250_000;

fn main() -> Result<(), Failure> {
    allocator::set_up();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["generate", events, file] => generate(events.parse()?, Path::new(file)),
        ["direct", file, dir] => direct(Path::new(file), Path::new(dir)),
        ["fill", file, dir] => fill(&EmbeddedLog::open(Path::new(dir).join("log"))?, Path::new(file)),
        ["log", file, dir] => log(Path::new(file), Path::new(dir)),
        _ => Err("usage: measure generate N FILE | direct FILE DIR | fill FILE DIR | log FILE DIR".into()),
    }
}

fn generate(events: u64, file: &Path) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut state = 1u64;
    let mut roll = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    let mut last = Vec::new();
    for i in 0..events {
        match roll(100) {
            0 | 1 if i > 0 => {}
            2 => last = b"{\"user_id\":\"u1\",\"video_id\":7.5}".to_vec(),
            _ => {
                let (user, session, video) = (roll(200_000), roll(30), roll(2_000));
                let (ms, position) = (1_767_225_600_000 + i / 2, roll(3_600_000));
                let kind = ["heartbeat", "heartbeat", "heartbeat", "play", "pause"][roll(5) as usize];
                last.clear();
                write!(
                    last,
                    r#"{{"user_id":"user-{user:06}","video_id":"video-{video:04}","session_id":"{user:x}-{session:x}","event_type":"{kind}","timestamp":{ms},"position_s":{}.{:03},"region":"DE","device":"tv","sequence":{},"event_id":"{:016x}{i:08x}"}}"#,
                    position / 1000,
                    position % 1000,
                    i % 500,
                    i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                )?;
            }
        }
        out.write_all(&last)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Calls `each` with batches of the lines of a file, all of which end in a line feed.
fn batches(file: &Path, mut each: impl FnMut(Records) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
    // A line that the buffer ends in the middle of.
    let mut begun = Vec::new();
    let mut records = RecordsBuilder::new();
    loop {
        let available = file.fill_buf()?;
        if available.is_empty() {
            break;
        }
        let mut at = 0;
        for end in memchr::memchr_iter(b'\n', available) {
            let line = &available[at..end];
            if begun.is_empty() {
                records.push(ARRIVAL_MS, None, line, &[]);
            } else {
                begun.extend_from_slice(line);
                records.push(ARRIVAL_MS, None, &begun, &[]);
                begun.clear();
            }
            at = end + 1;
            if records.len() == BATCH {
                each(records.finish())?;
            }
        }
        begun.extend_from_slice(&available[at..]);
        let used = available.len();
        file.consume(used);
    }
    each(records.finish())
}

fn direct(file: &Path, dir: &Path) -> Result<(), Failure> {
    let (begun, cpu) = (Instant::now(), cpu_s()?);
    let lake = Lake::open(dir.join("data_lake"))?;
    let (rows, landed) = sync_channel(2 * COMMIT / BATCH);
    let landing = std::thread::spawn(move || -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut table = runtime.block_on(lake.create(&tables::bronze_events()))?;
        let (mut open, mut from, mut len) = (Vec::new(), 0, 0);
        loop {
            let next: Option<arrow_array::RecordBatch> = landed.recv().ok();
            let is_end = next.is_none();
            if let Some(next) = next {
                len += next.num_rows() as i64;
                open.push(next);
            }
            if len >= COMMIT as i64 || (is_end && len > 0) {
                let (log, topic) = ("file".to_owned(), "file".to_owned());
                let range = OffsetRange { log, topic, partition: 0, from, next: from + len, records: len };
                runtime.block_on(table.append_offsets(std::mem::take(&mut open), &[range]))?;
                (from, len) = (from + len, 0);
            }
            if is_end {
                return Ok(());
            }
        }
    });
    let origin = Origin { log: "file".to_owned(), topic: "file".to_owned(), partition: 0 };
    let window = Window::new(600_000, 1 << 40);
    let mut cleaner = Cleaner::new(origin, window, KeepPayload::Rejected, tables::bronze_events().schema);
    let (mut counts, mut offset) = (Counts::default(), 0);
    batches(file, |records| {
        let offsets = Offsets::From(offset);
        offset += records.len() as i64;
        let stretch = Stretch { records: &records, offsets: &offsets, rows: 0..records.len() };
        let cleaned = cleaner.clean(&stretch, Wanted { topics: false, bronze: true })?;
        counts.add(&cleaned.counts);
        Ok(rows.send(cleaned.bronze.ok_or("no rows")?)?)
    })?;
    drop(rows);
    landing.join().map_err(|_| "the landing thread panicked")??;
    print("direct", &counts, begun.elapsed().as_secs_f64(), cpu_s()? - cpu)
}

fn log(file: &Path, dir: &Path) -> Result<(), Failure> {
    let log = Arc::new(EmbeddedLog::open(dir.join("log"))?);
    if log.topics()?.is_empty() {
        fill(&*log, file)?;
    }
    let lake = Lake::open(dir.join("data_lake"))?;
    let (begun, cpu) = (Instant::now(), cpu_s()?);
    let mut processor = Processor::open(log, Some(&lake), Settings::default())?;
    let summary = processor.run(Until::End, &AtomicBool::new(false), &|_| {})?;
    print("log", &summary.counts, begun.elapsed().as_secs_f64(), cpu_s()? - cpu)
}

fn fill(log: &dyn Log, file: &Path) -> Result<(), Failure> {
    let partitions = log.ensure_topic(names::VIDEO_EVENTS, 4)?;
    let mut producer = log.producer("measure")?;
    let (mut arrival_ms, mut scratch) = (ARRIVAL_MS, KeyScratch::default());
    batches(file, |records| {
        let mut builders: Vec<RecordsBuilder> = (0..partitions).map(|_| RecordsBuilder::new()).collect();
        for i in 0..records.len() {
            arrival_ms += i64::from(i % 2 == 0);
            let payload = records.value(i);
            let key = producer_key(payload, &mut scratch).map(str::as_bytes);
            builders[key.map_or(0, |key| partition_for(key, partitions)) as usize].push(arrival_ms, key, payload, &[]);
        }
        for (partition, builder) in builders.iter_mut().enumerate() {
            producer.send(names::VIDEO_EVENTS, partition as u32, builder.finish())?;
        }
        Ok(producer.commit()?)
    })
}

/// User and system time of this process in seconds (Linux).
fn cpu_s() -> Result<f64, Failure> {
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("/proc/self/stat is not as expected")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / TICKS_PER_S)
}

fn peak_mb() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

fn print(job: &str, counts: &Counts, wall_s: f64, cpu_s: f64) -> Result<(), Failure> {
    let events = counts.received as f64;
    let result = serde_json::json!({
        "engine": "streamreel",
        "job": job,
        "events": counts.received,
        "clean": counts.clean,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected_total(),
        "forgotten": counts.forgotten,
        "wall_s": wall_s,
        "events_per_s": events / wall_s,
        "cpu_us_per_event": cpu_s / events * 1e6,
        "events_per_s_on_two_cores": 2.0 * events / cpu_s,
        "peak_mb": peak_mb()?,
    });
    Ok(writeln!(std::io::stdout(), "{result}")?)
}
