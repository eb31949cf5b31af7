//! The threads of a run: readers that clean, one thread a sink, and bounded queues between them.
//!
//! A sink that is slow fills its queue, and then reading stops: nothing is dropped and memory stays bounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use streamreel_topic::Log;

use crate::error::{self, Result};
use crate::lane::{ForTopics, Lane, Part, Parts, Work};
use crate::rebuild::{Place, rebuild};
use crate::report::{Counts, Rebuilt};
use crate::settings::Settings;
use crate::sinks::{Sink, SinkKind};

/// The longest sleep before looking whether to stop.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How long a log may give nothing before its end is taken as reached: an end can lie behind records that no reader gets.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Whether to go on: the caller's wish, and whether another thread has failed.
pub(crate) struct Stop<'a> {
    pub(crate) cancel: &'a AtomicBool,
    pub(crate) failed: AtomicBool,
}

impl Stop<'_> {
    fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || self.has_failed()
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Passes a result through; a failure stops the other threads.
    pub(crate) fn watch<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// What threads tell the one that started them.
pub(crate) enum Notice {
    Rebuilt(Rebuilt),
    Committed { sink: SinkKind, lanes: Vec<Reached>, counts: Counts },
}

/// How far a sink has a lane.
pub(crate) struct Reached {
    pub(crate) lane: usize,
    pub(crate) next: i64,
    pub(crate) remembered: u64,
}

/// What a reader needs besides its lanes.
pub(crate) struct Reader<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) settings: &'a Settings,
    pub(crate) stop: &'a Stop<'a>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) topics: Option<SyncSender<Part<ForTopics>>>,
    pub(crate) bronze: Option<SyncSender<Part<RecordBatch>>>,
}

impl Reader<'_> {
    /// Reads its lanes in turn until all are done or it should stop; gives them back, ready to go on.
    pub(crate) fn run(&self, mut lanes: Vec<Lane>) -> Result<Vec<Lane>> {
        for lane in &mut lanes {
            self.rebuild(lane)?;
        }
        let (mut last_progress, mut idle_at) = (Instant::now(), None);
        while !self.stop.is_cancelled() && !lanes.iter().all(Lane::is_done) {
            let version = self.log.data_version().map_err(error::log("watch the log"))?;
            if idle_at != Some(version) {
                let Some(is_idle) = self.pass(&mut lanes)? else { break };
                idle_at = is_idle.then_some(version);
                if !is_idle {
                    last_progress = Instant::now();
                    continue;
                }
            }
            if lanes.iter().all(|lane| lane.end.is_some()) && last_progress.elapsed() > END_PATIENCE {
                break;
            }
            self.log.wait(version, LOOK_UP).map_err(error::log("watch the log"))?;
        }
        Ok(lanes)
    }

    /// One fetch of every lane. True: there was nothing; `None`: a sink has gone.
    fn pass(&self, lanes: &mut [Lane]) -> Result<Option<bool>> {
        let mut is_idle = true;
        for lane in lanes.iter_mut().filter(|lane| !lane.is_done()) {
            let before = lane.at;
            if !self.advance(lane)? {
                return Ok(None);
            }
            is_idle &= lane.at == before;
        }
        Ok(Some(is_idle))
    }

    fn place<'p>(&'p self, lane: &'p Lane) -> Place<'p> {
        Place { log: self.log, topic: &lane.topic, partition: lane.partition, fetch_bytes: self.settings.fetch_bytes }
    }

    fn rebuild(&self, lane: &mut Lane) -> Result<()> {
        let place = Place {
            log: self.log,
            topic: &lane.topic,
            partition: lane.partition,
            fetch_bytes: self.settings.fetch_bytes,
        };
        if let Work::Clean(cleaner, window) = &mut lane.work
            && !lane.is_rebuilt
        {
            let rebuilt = rebuild(&place, *window, lane.covered, cleaner)?;
            lane.is_rebuilt = true;
            let _ = self.notices.send(Notice::Rebuilt(rebuilt));
        }
        Ok(())
    }

    /// One fetch of a lane. False: a sink has gone.
    fn advance(&self, lane: &mut Lane) -> Result<bool> {
        if self.stop.is_cancelled() {
            return Ok(true);
        }
        let fetched = self.place(lane).fetch(lane.at)?;
        lane.process(&fetched, |parts| self.deliver(parts))
    }

    fn deliver(&self, parts: Parts) -> bool {
        send(self.topics.as_ref(), parts.topics) && send(self.bronze.as_ref(), parts.bronze)
    }
}

/// Waits for room in the queue. False: the sink has gone.
fn send<T>(queue: Option<&SyncSender<T>>, part: Option<T>) -> bool {
    match (queue, part) {
        (Some(queue), Some(part)) => queue.send(part).is_ok(),
        _ => true,
    }
}

/// The open commit of a sink.
struct OpenCommit {
    since: Instant,
    records: usize,
    bytes: usize,
    lanes: Vec<Reached>,
    counts: Counts,
}

impl OpenCommit {
    fn is_due(&self, settings: &Settings, interval: Duration) -> bool {
        self.records >= settings.commit_records
            || self.bytes >= settings.commit_bytes
            || self.since.elapsed() >= interval
    }
}

/// Takes parts until there are no more, and commits at every interval, number of records or of bytes, and at the end.
pub(crate) fn run_sink<S: Sink>(
    sink: &mut S,
    parts: &Receiver<Part<S::Body>>,
    settings: &Settings,
    stop: &Stop<'_>,
    notices: &Sender<Notice>,
) -> Result<()> {
    let interval = settings.interval(sink.kind());
    let mut open: Option<OpenCommit> = None;
    loop {
        if stop.has_failed() {
            sink.abort();
            return Ok(());
        }
        let left = open.as_ref().map_or(LOOK_UP, |o| interval.saturating_sub(o.since.elapsed()));
        let received = parts.recv_timeout(left.min(LOOK_UP));
        let is_end = matches!(received, Err(RecvTimeoutError::Disconnected));
        if let Ok(part) = received {
            add(sink, part, &mut open)?;
        }
        let is_due = |o: &mut OpenCommit| is_end || o.is_due(settings, interval);
        if let Some(done) = open.take_if(is_due) {
            if stop.has_failed() {
                sink.abort();
                return Ok(());
            }
            sink.commit()?;
            let _ = notices.send(Notice::Committed { sink: sink.kind(), lanes: done.lanes, counts: done.counts });
        }
        if is_end {
            return Ok(());
        }
    }
}

fn add<S: Sink>(sink: &mut S, mut part: Part<S::Body>, open: &mut Option<OpenCommit>) -> Result<()> {
    let open = open.get_or_insert_with(|| OpenCommit {
        since: Instant::now(),
        records: 0,
        bytes: 0,
        lanes: Vec::new(),
        counts: Counts::default(),
    });
    open.records += part.records;
    open.bytes += part.bytes;
    if let Some(counts) = part.counts.take() {
        open.counts.add(&counts);
    }
    let (lane, next, remembered) = (part.lane, part.next, part.remembered);
    match open.lanes.iter_mut().find(|reached| reached.lane == lane) {
        Some(reached) => (reached.next, reached.remembered) = (next, remembered),
        None => open.lanes.push(Reached { lane, next, remembered }),
    }
    sink.add(part)
}
