//! The threads of a run: workers that read and clean, a thread for each sink, and bounded queues between them.
//!
//! A sink that is slow fills its queue, and then reading stops: nothing is dropped and memory stays bounded.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use streamreel_topic::Log;

use crate::error::{self, Result};
use crate::lane::{ForTopics, Lane, LaneId, Part, Parts};
use crate::rebuild::Place;
use crate::report::{Counts, Rebuilt};
use crate::settings::{Limits, Settings};
use crate::sinks::{Sink, SinkKind};
use crate::watch::Watch;

/// The longest sleep before looking whether to stop.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How long a log may give nothing before its end is taken as reached: an end can lie behind records that no reader gets.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// What threads tell the one that started them.
pub(crate) enum Notice {
    Rebuilt(Rebuilt),
    /// A worker has read its first records.
    Read,
    /// A lane is ready to be worked on.
    Arrived(Box<Seat>),
    Committed {
        sink: SinkKind,
        lanes: Vec<Reached>,
        counts: Counts,
    },
    /// A sink has committed all that it will ever get of a lane.
    Ended {
        lane: LaneId,
    },
}

/// How far a sink has a lane.
pub(crate) struct Reached {
    pub(crate) lane: LaneId,
    pub(crate) next: i64,
    pub(crate) remembered: u64,
}

/// A lane, and the queue of its part of the cleaned topics, which ends with this value.
pub(crate) struct Seat {
    pub(crate) lane: Lane,
    pub(crate) topics: Option<SyncSender<Item<ForTopics>>>,
}

/// What a worker is told.
pub(crate) enum Order {
    Take(Box<Seat>),
    /// Finish what was read of a lane, and read no more.
    LetGo(LaneId),
}

/// What a sink is given.
pub(crate) enum Item<T> {
    Part(Part<T>),
    /// Nothing more comes of this lane.
    End(LaneId),
}

/// Reads and cleans some of the lanes.
pub(crate) struct Worker<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) settings: &'a Settings,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) orders: Receiver<Order>,
    pub(crate) bronze: Option<SyncSender<Item<RecordBatch>>>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) has_read: bool,
    pub(crate) seats: Vec<Seat>,
}

impl Worker<'_> {
    /// Reads its lanes in turn, until there are no more orders to wait for.
    pub(crate) fn run(mut self) -> Result<()> {
        let (mut last_progress, mut idle_at) = (Instant::now(), None);
        loop {
            let before = self.seats.len();
            if !self.obey() || self.watch.has_failed() {
                return Ok(());
            }
            if self.seats.len() != before {
                (last_progress, idle_at) = (Instant::now(), None);
            }
            if self.seats.is_empty() {
                continue;
            }
            self.see_ends()?;
            let version = self.log.data_version().map_err(error::log("watch the log"))?;
            if idle_at != Some(version) {
                let Some(is_idle) = self.pass()? else { return Ok(()) };
                idle_at = is_idle.then_some(version);
                if !is_idle {
                    last_progress = Instant::now();
                }
            }
            self.retire(idle_at.is_some() && last_progress.elapsed() > END_PATIENCE);
            if idle_at.is_some() && !self.seats.is_empty() {
                self.log.wait(version, LOOK_UP).map_err(error::log("watch the log"))?;
            }
        }
    }

    /// Does what was ordered; waits a moment for it where there is nothing else to do. False: there will be no more orders.
    fn obey(&mut self) -> bool {
        let mut may_wait = self.seats.is_empty();
        loop {
            let order = if may_wait {
                self.orders.recv_timeout(LOOK_UP).map_err(|error| error == RecvTimeoutError::Disconnected)
            } else {
                self.orders.try_recv().map_err(|error| error == TryRecvError::Disconnected)
            };
            may_wait = false;
            match order {
                Ok(Order::Take(seat)) => self.seats.push(*seat),
                Ok(Order::LetGo(lane)) => {
                    if let Some(at) = self.seats.iter().position(|seat| seat.lane.id == lane) {
                        let seat = self.seats.swap_remove(at);
                        self.let_go(seat);
                    }
                }
                Err(is_over) => return !is_over,
            }
        }
    }

    /// Tells the sinks that they have all of a lane: bronze by a word, the cleaned topics by the end of the queue.
    fn let_go(&self, seat: Seat) {
        if let Some(bronze) = &self.bronze {
            // A sink that has gone has said why.
            let _ = bronze.send(Item::End(seat.lane.id));
        }
    }

    /// Lets go of lanes that have come to their end, or, if `is_over`, of all that have one.
    fn retire(&mut self, is_over: bool) {
        let is_done = |seat: &mut Seat| seat.lane.is_done() || (is_over && seat.lane.end.is_some());
        for seat in self.seats.extract_if(.., is_done).collect::<Vec<_>>() {
            self.let_go(seat);
        }
    }

    /// When all is to end, each partition ends where it does now.
    fn see_ends(&mut self) -> Result<()> {
        if self.watch.is_draining() {
            for lane in self.seats.iter_mut().map(|seat| &mut seat.lane).filter(|lane| lane.end.is_none()) {
                let range = self.log.range(&lane.source.topic, lane.source.partition);
                lane.end = Some(range.map_err(error::log("ask for the range of the topic"))?.end);
            }
        }
        Ok(())
    }

    /// One fetch of every lane. True: there was nothing; `None`: a sink has gone.
    fn pass(&mut self) -> Result<Option<bool>> {
        let mut is_idle = true;
        for seat in self.seats.iter_mut().filter(|seat| !seat.lane.is_done()) {
            let lane = &mut seat.lane;
            let before = lane.at;
            let place = Place {
                log: self.log,
                topic: &lane.source.topic,
                partition: lane.source.partition,
                fetch_bytes: self.settings.fetch_bytes,
            };
            let fetched = place.fetch(lane.at)?;
            if !self.has_read && !fetched.records.is_empty() {
                self.has_read = true;
                let _ = self.notices.send(Notice::Read);
            }
            let (topics, bronze) = (seat.topics.as_ref(), self.bronze.as_ref());
            let deliver = |parts: Parts| send(topics, parts.topics) && send(bronze, parts.bronze);
            if !lane.process(&fetched, deliver)? {
                return Ok(None);
            }
            is_idle &= lane.at == before;
        }
        Ok(Some(is_idle))
    }
}

/// Waits for room in the queue. False: the sink has gone.
fn send<T>(queue: Option<&SyncSender<Item<T>>>, part: Option<Part<T>>) -> bool {
    match (queue, part) {
        (Some(queue), Some(part)) => queue.send(Item::Part(part)).is_ok(),
        _ => true,
    }
}

/// The open commit of a sink.
struct OpenCommit {
    due: Instant,
    records: usize,
    bytes: usize,
    lanes: Vec<Reached>,
    counts: Counts,
}

impl OpenCommit {
    fn is_due(&self, limits: &Limits) -> bool {
        self.records >= limits.records || self.bytes >= limits.bytes || Instant::now() >= self.due
    }
}

/// The moments, one an interval, at which commits are due. They don't shift by what a commit takes, nor wait for the first record
/// after it: so a record waits for half an interval in the mean.
struct Beat {
    last: Instant,
    interval: Duration,
}

impl Beat {
    /// The next one.
    fn next(&mut self) -> Instant {
        let over = self.last.elapsed().as_nanos() / self.interval.as_nanos().max(1);
        self.last += self.interval * u32::try_from(over).unwrap_or(u32::MAX);
        self.last + self.interval
    }
}

/// Takes parts until there are no more, and commits at every interval, number of records or of bytes, and when a lane, or all, ends.
pub(crate) fn run_sink<S: Sink>(
    sink: &mut S,
    items: &Receiver<Item<S::Body>>,
    limits: Limits,
    watch: &Watch<'_>,
    notices: &Sender<Notice>,
) -> Result<()> {
    let mut open: Option<OpenCommit> = None;
    let mut beat = Beat { last: Instant::now(), interval: limits.interval };
    loop {
        if watch.has_failed() {
            sink.abort();
            return Ok(());
        }
        let left = open.as_ref().map_or(LOOK_UP, |o| o.due.saturating_duration_since(Instant::now()));
        let (mut ended, mut is_over) = (None, false);
        match items.recv_timeout(left.min(LOOK_UP)) {
            Ok(Item::Part(part)) => add(sink, part, &mut open, &mut beat)?,
            Ok(Item::End(lane)) => ended = Some(lane),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => is_over = true,
        }
        let is_due = |o: &mut OpenCommit| is_over || ended.is_some() || o.is_due(&limits);
        if let Some(done) = open.take_if(is_due) {
            if watch.has_failed() {
                sink.abort();
                return Ok(());
            }
            watch.check_membership().inspect_err(|_| sink.abort())?;
            sink.commit()?;
            let _ = notices.send(Notice::Committed { sink: sink.kind(), lanes: done.lanes, counts: done.counts });
        }
        if let Some(lane) = ended {
            let _ = notices.send(Notice::Ended { lane });
        }
        if is_over {
            return Ok(());
        }
    }
}

fn add<S: Sink>(sink: &mut S, mut part: Part<S::Body>, open: &mut Option<OpenCommit>, beat: &mut Beat) -> Result<()> {
    let open = open.get_or_insert_with(|| OpenCommit {
        due: beat.next(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_keep_their_distance() {
        const MINUTE: Duration = Duration::from_secs(60);
        let now = Instant::now();
        let start = now - 3 * MINUTE;
        let at = |minutes: f64| start + MINUTE.mul_f64(3.0 + minutes);
        // Minutes since the last one, and until the next one.
        for (since, until) in [(0.0, 1.0), (0.5, 0.5), (2.25, 0.75)] {
            let next = Beat { last: at(-since), interval: MINUTE }.next();
            assert_eq!(next, at(until), "{since}");
        }
    }

    #[test]
    fn without_an_interval_every_moment_is_due() {
        let mut beat = Beat { last: Instant::now(), interval: Duration::ZERO };
        assert!(beat.next() <= Instant::now());
    }
}
