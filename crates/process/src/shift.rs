//! A shift: a processor's time in its group, from joining until leaving. Partitions are given and asked back meanwhile, each
//! on its own; the others go on.
//!
//! ```text
//! given ──> its own thread: claim, ask the sinks, rebuild ──> a worker: read and clean ──┬─> that thread: cleaned topics
//!                                                                                        └─> one thread: bronze
//! asked ──> the worker reads no more of it ──> both sinks commit ──> released
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use streamreel_topic::{Change, Membership, TopicPartition};

use crate::arrival::Keepers;
use crate::cleaning::Origin;
use crate::error::{self, Result};
use crate::lane::LaneId;
use crate::ledger::Ledger;
use crate::positions::Goal;
use crate::processor::Until;
use crate::sinks::{BronzeSink, SinkKind};
use crate::threads::{Notice, Order, Seat, Worker, run_sink};
use crate::watch::Watch;

/// How often the group is asked what it wants.
const TICK: Duration = Duration::from_millis(20);
/// How often those who work on other partitions are asked how far they are.
const ASK_OTHERS: Duration = Duration::from_millis(250);

/// What a shift is about.
pub(crate) struct Task<'a> {
    pub(crate) origins: &'a [Arc<Origin>],
    pub(crate) membership: &'a dyn Membership,
    pub(crate) until: Until,
    pub(crate) cancel: &'a AtomicBool,
    /// Of a run to the end.
    pub(crate) goal: Option<&'a mut Goal>,
}

/// A partition that this processor has been given.
struct Post {
    lane: LaneId,
    stage: Stage,
    /// The group wants it back.
    is_asked: bool,
    /// Sinks that may still get something of it.
    sinks: usize,
}

enum Stage {
    /// Its thread gets it ready, unless this says that it should leave.
    Arriving(Arc<AtomicBool>),
    /// With this worker.
    AtWork(usize),
    /// The sinks have not yet committed all of it.
    Closing,
    Ended,
}

/// The thread that runs the others.
struct Shift<'scope, 'env: 'scope, 'ledger> {
    scope: &'scope Scope<'scope, 'env>,
    task: Task<'env>,
    ledger: &'scope mut Ledger<'ledger>,
    keepers: &'env Keepers<'env>,
    /// Of each worker.
    orders: Vec<Sender<Order>>,
    has_bronze: bool,
    posts: BTreeMap<TopicPartition, Post>,
    next_lane: LaneId,
    /// No partition is taken any more.
    is_closing: bool,
    asked_others: Option<Instant>,
}

/// Works until it is cancelled or the goal is reached; then what is open is finished. What any of the threads could not do is told
/// to the watch, and the open commits are given up then; what was committed until all have ended is in the ledger.
pub(crate) fn work(
    task: Task<'_>,
    mut ledger: Ledger<'_>,
    keepers: &Keepers<'_>,
    bronze: Option<&mut BronzeSink>,
    noticed: &Receiver<Notice>,
) {
    let (settings, watch) = (keepers.settings, keepers.watch);
    std::thread::scope(|scope| {
        let has_bronze = bronze.is_some();
        let to_bronze = bronze.map(|sink| {
            let limits = settings.limits(SinkKind::Bronze, keepers.partitions);
            let (queue, items) = sync_channel(limits.queue);
            let notices = keepers.notices.clone();
            scope.spawn(move || watch.over(|| run_sink(sink, &items, limits, watch, &notices)));
            queue
        });
        let workers = (0..settings.worker_count(task.origins.len())).map(|_| {
            let (order, orders) = channel();
            let bronze = to_bronze.clone();
            let (notices, seats) = (keepers.notices.clone(), Vec::new());
            let worker = Worker { log: keepers.log, settings, watch, orders, bronze, notices, has_read: false, seats };
            scope.spawn(move || watch.over(|| worker.run()));
            order
        });
        let orders = workers.collect();
        drop(to_bronze);
        let shift = Shift {
            scope,
            task,
            ledger: &mut ledger,
            keepers,
            orders,
            has_bronze,
            posts: BTreeMap::new(),
            next_lane: 0,
            is_closing: false,
            asked_others: None,
        };
        watch.over(|| shift.run(noticed));
    });
    ledger.close(noticed);
}

impl Shift<'_, '_, '_> {
    fn run(mut self, noticed: &Receiver<Notice>) -> Result<()> {
        while !self.watch().has_failed() {
            match noticed.recv_timeout(TICK) {
                Ok(notice) => self.hear(notice)?,
                // There is a sender as long as there are keepers.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(notice) = noticed.try_recv() {
                self.hear(notice)?;
            }
            self.watch().check_membership()?;
            self.follow_the_group()?;
            self.ledger.assigned(self.posts.len());
            if !self.is_closing && self.is_over()? {
                self.close();
            }
            if self.is_closing && self.posts.values().all(|post| matches!(post.stage, Stage::Ended)) {
                break;
            }
        }
        Ok(())
    }

    fn watch(&self) -> &Watch<'_> {
        self.keepers.watch
    }

    /// Whether it is time to end.
    fn is_over(&mut self) -> Result<bool> {
        if self.task.cancel.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let is_at_work = self.posts.values().any(|post| !matches!(post.stage, Stage::Ended));
        let is_soon = self.asked_others.is_some_and(|asked| asked.elapsed() < ASK_OTHERS);
        let Some(goal) = self.task.goal.as_mut().filter(|_| !is_at_work && !is_soon) else { return Ok(false) };
        self.asked_others = Some(Instant::now());
        goal.is_reached(self.keepers.positions, self.task.origins.iter().map(|origin| &**origin))
    }

    /// Takes no partition any more, and ends the work on those that there are: at once, or where they end.
    fn close(&mut self) {
        self.is_closing = true;
        if self.task.until == Until::Drained {
            self.keepers.watch.drain();
            return;
        }
        for post in self.posts.values_mut() {
            let_go(post, &self.orders);
        }
    }

    fn follow_the_group(&mut self) -> Result<()> {
        let failed = error::log("follow the group");
        for change in self.task.membership.changes().map_err(&failed)? {
            match change {
                Change::Given(partition) if !self.is_closing => self.take(partition),
                // Leaving the group gives it back.
                Change::Given(_) => {}
                Change::Asked(partition) => match self.posts.get_mut(&partition) {
                    Some(post) => {
                        post.is_asked = true;
                        let_go(post, &self.orders);
                        self.settle(&partition)?;
                    }
                    None => self.task.membership.release(&partition).map_err(&failed)?,
                },
            }
        }
        Ok(())
    }

    /// Starts the thread of a partition.
    fn take(&mut self, partition: TopicPartition) {
        let is_it = |origin: &&Arc<Origin>| origin.topic == partition.topic && origin.partition == partition.partition;
        // A partition that the topic has got since is left to who starts anew.
        let Some(origin) = self.task.origins.iter().find(is_it).map(Arc::clone) else { return };
        let (lane, end) = (self.next_lane, self.task.goal.as_ref().and_then(|goal| goal.end(&partition)));
        self.next_lane += 1;
        let leaves = Arc::new(AtomicBool::new(false));
        let stage = Stage::Arriving(Arc::clone(&leaves));
        self.posts.insert(partition, Post { lane, stage, is_asked: false, sinks: 1 });
        let keepers = self.keepers;
        self.scope.spawn(move || keepers.watch.over(|| keepers.keep(lane, origin, end, &leaves)));
    }

    fn hear(&mut self, notice: Notice) -> Result<()> {
        match self.ledger.hear(notice) {
            Some(Notice::Arrived(seat)) => self.seat(seat),
            Some(Notice::Ended { lane }) => self.end(lane),
            _ => Ok(()),
        }
    }

    /// Gives a lane that is ready to the worker with the fewest.
    fn seat(&mut self, seat: Box<Seat>) -> Result<()> {
        self.ledger.enter(&seat.lane);
        let mut lanes = vec![0; self.orders.len()];
        for post in self.posts.values() {
            if let Stage::AtWork(worker) = post.stage {
                lanes[worker] += 1;
            }
        }
        let Some((partition, post)) = self.posts.iter_mut().find(|(_, post)| post.lane == seat.lane.id) else {
            return Ok(());
        };
        post.sinks = usize::from(seat.topics.is_some()) + usize::from(self.has_bronze);
        let is_unwanted = match &post.stage {
            Stage::Arriving(leaves) => leaves.load(Ordering::Acquire),
            _ => true,
        };
        if is_unwanted {
            // Nobody reads it: bronze gets nothing, and the cleaned topics end with the queue.
            post.sinks -= usize::from(self.has_bronze);
            post.stage = Stage::Closing;
            let partition = partition.clone();
            return self.settle(&partition);
        }
        let worker = (0..lanes.len()).min_by_key(|worker| lanes[*worker]).unwrap_or(0);
        post.stage = Stage::AtWork(worker);
        // A worker that has gone has said why.
        let _ = self.orders[worker].send(Order::Take(seat));
        Ok(())
    }

    /// A sink has all of a lane.
    fn end(&mut self, lane: LaneId) -> Result<()> {
        let Some((partition, post)) = self.posts.iter_mut().find(|(_, post)| post.lane == lane) else { return Ok(()) };
        post.sinks = post.sinks.saturating_sub(1);
        if post.sinks == 0 && matches!(post.stage, Stage::AtWork(_)) {
            // Nobody has told it to stop: it has come to its end.
            if let Some(goal) = &mut self.task.goal {
                goal.note(partition);
            }
        }
        let partition = partition.clone();
        self.settle(&partition)
    }

    /// Once all is committed: the post has ended, and what was asked back is released.
    fn settle(&mut self, partition: &TopicPartition) -> Result<()> {
        let Some(post) = self.posts.get_mut(partition).filter(|post| post.sinks == 0) else { return Ok(()) };
        post.stage = Stage::Ended;
        if post.is_asked {
            self.posts.remove(partition);
            let released = self.task.membership.release(partition);
            released.map_err(error::log("let go of a partition"))?;
        }
        Ok(())
    }
}

/// Ends the work on a partition.
fn let_go(post: &mut Post, orders: &[Sender<Order>]) {
    match &post.stage {
        Stage::Arriving(leaves) => leaves.store(true, Ordering::Release),
        Stage::AtWork(worker) => {
            // A worker that has gone has said why.
            let _ = orders[*worker].send(Order::LetGo(post.lane));
            post.stage = Stage::Closing;
        }
        Stage::Closing | Stage::Ended => {}
    }
}
