//! `simulate`: made-up viewers into the topic, a file or stdout; and the truth about them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use streamreel_simulate::{Batch, Catalogue, DEFAULT_START_MS, Pace, Players, Settings, Simulator, Truth};

use crate::cli::Simulate;
use crate::clock;
use crate::draw::thousands;
use crate::failure::{Failure, Outcome};
use crate::feed::Feed;
use crate::home::Home;
use crate::stop::Stop;
use crate::titles;

const BATCH_RECORDS: usize = 8192;
const DAYS: u32 = 7;
/// Where `--to` means the home's topic, and not a file.
const TOPIC: &str = "topic";
/// How often a simulation in real time sends what is due.
const TICK: Duration = Duration::from_millis(20);

/// What a simulation did.
#[derive(Serialize)]
pub struct Summary {
    /// Records sent.
    pub records: u64,
    /// Events that happened; those lost among them.
    pub true_events: u64,
    /// Views that happened.
    pub views: u64,
    /// Planted rejects, all reasons.
    pub rejects: u64,
    /// Planted copies.
    pub duplicates: u64,
    /// Whether it was stopped before it had sent as many records as it was to.
    pub interrupted: bool,
}

/// Where records go.
pub enum Sink {
    /// The home's topic.
    Topic(Feed),
    /// A file or stdout, a line a record.
    Lines(Box<dyn Write>),
}

impl Sink {
    fn open(home: &Home, to: &str) -> Outcome<Self> {
        Ok(match to {
            TOPIC => Sink::Topic(Feed::new(&*home.log()?, home.settings.log.partitions)?),
            "-" => Sink::Lines(Box::new(BufWriter::new(io::stdout()))),
            path => Sink::Lines(file(Path::new(path))?),
        })
    }

    /// Sends a batch on.
    pub fn write(&mut self, batch: &Batch) -> Outcome {
        for i in 0..batch.len() {
            match self {
                Sink::Topic(feed) => feed.push(batch.arrival_ms(i), batch.key(i), batch.payload(i), None)?,
                Sink::Lines(out) => {
                    out.write_all(batch.payload(i))?;
                    out.write_all(b"\n")?;
                }
            }
        }
        Ok(())
    }

    /// Makes what was sent safe.
    pub fn flush(&mut self) -> Outcome {
        match self {
            Sink::Topic(feed) => feed.commit(),
            Sink::Lines(out) => Ok(out.flush()?),
        }
    }
}

fn file(path: &Path) -> Outcome<Box<dyn Write>> {
    let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
    let file = BufWriter::new(file);
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast())),
        Some("zst") => Box::new(zstd::Encoder::new(file, 1)?.auto_finish()),
        _ => Box::new(file),
    })
}

/// Simulates.
pub fn run(home: &Home, args: &Simulate) -> Outcome {
    if args.truth.as_deref() == Some(Path::new("-")) {
        return Err(Failure::usage("--truth takes a file: stdout has the records or the summary"));
    }
    let stop = Stop::listen()?;
    let into_home = args.to == TOPIC;
    if into_home {
        home.keep();
    }
    let pace = match (args.events, args.rate) {
        (Some(records), _) => Pace::Records { records, days: DAYS },
        (None, rate) => Pace::Rate { per_s: rate.unwrap_or(1) as f64, for_ms: args.for_.map(|d| d.as_millis() as i64) },
    };
    let mut settings = Settings {
        pace,
        start_ms: args.start.unwrap_or(DEFAULT_START_MS),
        seed: args.seed,
        users: args.users,
        videos: args.videos.map(|videos| u32::try_from(videos).unwrap_or(u32::MAX)),
        dirt_ratio: args.dirt,
        loss_ratio: args.loss,
        players: Players::All,
    };
    // Before anything is made, or a file is written over.
    settings.check()?;
    let mut sink = Sink::open(home, &args.to)?;
    if args.rate.is_some() && args.start.is_none() {
        // Only now: opening a log takes time, which simulated time would lag behind.
        settings.start_ms = clock::now_ms();
    }
    let mut simulator = Simulator::new(&settings, &Catalogue::sample()?)?;
    // Records that go elsewhere make no home.
    let is_elsewhere = !home.metadata.starts_with(&home.folder);
    if into_home || is_elsewhere || home.folder.is_dir() {
        titles::keep(&home.metadata, &simulator.titles())?;
    }
    match pace {
        Pace::Records { records, .. } => all(home, &mut simulator, &mut sink, records, &stop)?,
        Pace::Rate { .. } => in_time(&mut simulator, &mut sink, settings.start_ms, args.for_, &stop)?,
    }
    sink.flush()?;
    // The encoder of a compressed file writes its end when it is dropped.
    drop(sink);
    let truth = simulator.truth();
    // In real time a simulation is whole whenever it ends.
    let wanted = args.events.filter(|_| stop.wanted());
    if let (Some(path), None) = (&args.truth, wanted) {
        write_truth(path, &truth)?;
    }
    report(home, &args.to, &truth, wanted.is_some())?;
    wanted.map_or(Ok(()), |wanted| Err(short(args, truth.records, wanted)))
}

/// What a simulation that was stopped too early has left.
fn short(args: &Simulate, sent: u64, wanted: u64) -> Failure {
    let place = match args.to.as_str() {
        TOPIC => "the topic has only a part".to_owned(),
        "-" => "the output is short".to_owned(),
        file => format!("{file} is short"),
    };
    let truth = if args.truth.is_some() { "; the truth, which would be about all of them, is not written" } else { "" };
    let (sent, wanted) = (thousands(sent as i64), thousands(wanted as i64));
    Failure::Interrupted(format!("interrupted: {place}, {sent} of {wanted} records{truth}"))
}

/// Everything, as fast as it goes.
pub fn all(home: &Home, simulator: &mut Simulator, sink: &mut Sink, records: u64, stop: &Stop) -> Outcome {
    let mut progress = home.display.start("simulate", "records", Some(records));
    let mut batch = Batch::with_capacity(BATCH_RECORDS);
    while !stop.wanted() && simulator.next_batch(&mut batch) {
        sink.write(&batch)?;
        progress.set(simulator.records());
    }
    Ok(())
}

/// Each record when it is due, until `duration` is over or a stop is wanted; then what had happened by then arrives.
pub fn in_time(
    simulator: &mut Simulator,
    sink: &mut Sink,
    start_ms: i64,
    duration: Option<Duration>,
    stop: &Stop,
) -> Outcome {
    let began = Instant::now();
    let mut batch = Batch::with_capacity(BATCH_RECORDS);
    let over = |elapsed: Duration| duration.is_some_and(|d| elapsed >= d);
    while !over(began.elapsed()) {
        let due_ms = start_ms + began.elapsed().as_millis() as i64;
        // A rate that this machine can't reach is never caught up with.
        while !stop.wanted() && !over(began.elapsed()) && simulator.advance(due_ms, &mut batch) {
            sink.write(&batch)?;
        }
        sink.flush()?;
        // What sending took is part of the tick.
        let tick = Duration::from_nanos((began.elapsed().as_nanos() % TICK.as_nanos()) as u64);
        if !stop.sleep(TICK - tick) {
            break;
        }
    }
    sink.flush()?;
    simulator.stop_at(start_ms + began.elapsed().as_millis() as i64);
    while simulator.next_batch(&mut batch) {
        sink.write(&batch)?;
    }
    Ok(())
}

fn write_truth(path: &Path, truth: &Truth) -> Outcome {
    let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, truth).map_err(io::Error::from)?;
    file.flush()?;
    Ok(())
}

fn report(home: &Home, to: &str, truth: &Truth, interrupted: bool) -> Outcome {
    let summary = Summary {
        records: truth.records,
        true_events: truth.true_events,
        views: truth.views,
        rejects: truth.rejects.values().sum(),
        duplicates: truth.duplicates.near + truth.duplicates.far,
        interrupted,
    };
    let text = |s: &Summary| {
        format!(
            "{} records of {} views: {} true events, {} rejects and {} copies planted\n",
            thousands(s.records as i64),
            thousands(s.views as i64),
            thousands(s.true_events as i64),
            thousands(s.rejects as i64),
            thousands(s.duplicates as i64)
        )
    };
    if to == "-" {
        home.printer.remark(text(&summary).trim_end());
        return Ok(());
    }
    home.printer.result(&summary, text)
}
