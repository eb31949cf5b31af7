//! A producer: a transaction is on its way to the brokers while it is being made, and kept until it is known to be
//! stored, so that it can be sent again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer as _, PurgeConfig};
use rdkafka::{Offset, TopicPartitionList};

use super::ask::{Isolation, Partition};
use super::context::Context;
use super::place::{Wait, code, passes};
use super::sender::{self, Sender};
use super::{Shared, Topic};
use crate::{Error, Producer, Records, Result};

/// Brokers give an open transaction up after so long; whoever has crashed holds readers up until then.
const TRANSACTION_TIMEOUT_MS: &str = "60000";
/// A transaction that has been open for so long is sent anew rather than left to that.
const OPEN_LIMIT: Duration = Duration::from_secs(40);
/// Waiting for room in the client's queue, or for what was purged.
const TICK: Duration = Duration::from_millis(2);
/// Between two looks at what was not delivered, while all is waited for.
const LOOK_UP: Duration = Duration::from_millis(20);
/// A producer that is dropped does not wait for longer.
const FAREWELL: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);
/// How long a new client waits for its first connection before it goes on without.
const FIRST_CONTACT: Duration = Duration::from_secs(1);

pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    transactional_id: String,
    sender: Sender<Context>,
    /// What the transaction holds.
    parts: Vec<Part>,
    offsets: Vec<OffsetMove>,
    /// How many of the parts are with the client.
    sent: usize,
    /// The client has a part of one of them.
    is_torn: bool,
    state: State,
}

struct Part {
    topic: Arc<Topic>,
    partition: u32,
    records: Records,
}

struct OffsetMove {
    group: String,
    topic: Arc<Topic>,
    partition: u32,
    from: i64,
    next: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The brokers know of no transaction.
    Closed,
    Open {
        since: Instant,
    },
    /// A commit has been asked for, and the answer is not known.
    Committing,
    /// The client is of no use any more: a newer producer has the id.
    Fenced,
    /// The client is of no use any more for another reason; the next one is made by an abort.
    Broken,
}

/// Why a step towards a commit did not succeed.
enum Setback {
    /// The transaction must be aborted; it can be sent again.
    Abort(KafkaError),
    /// The brokers have not answered in time; ask again.
    Unknown(KafkaError),
    /// The client is of no use any more.
    Fatal(KafkaError),
    /// Refused for good.
    Refused(KafkaError),
}

impl KafkaProducer {
    pub(super) fn new(shared: Arc<Shared>, transactional_id: &str) -> Result<Self> {
        let sender = Sender::new(client(&shared, transactional_id)?);
        Ok(Self {
            shared,
            transactional_id: transactional_id.to_owned(),
            sender,
            parts: Vec::new(),
            offsets: Vec::new(),
            sent: 0,
            is_torn: false,
            state: State::Closed,
        })
    }

    fn client(&self) -> &BaseProducer<Context> {
        self.sender.client()
    }

    /// Gives the client what it does not have yet.
    fn produce(&mut self) -> std::result::Result<(), Setback> {
        if self.state == State::Closed {
            self.client().begin_transaction().map_err(|error| self.setback(error))?;
            self.state = State::Open { since: Instant::now() };
            self.sent = 0;
        }
        while self.sent < self.parts.len() {
            if self.is_torn {
                return Err(Setback::Abort(KafkaError::MessageProduction(Code::QueueFull)));
            }
            self.is_torn = true;
            self.enqueue(self.sent).map_err(|error| self.setback(error))?;
            self.is_torn = false;
            self.sent += 1;
        }
        self.client().poll(Duration::ZERO);
        Ok(())
    }

    /// Waits for room in the client's queue.
    fn enqueue(&mut self, part: usize) -> KafkaResult<()> {
        let (part, place) = (&self.parts[part], &self.shared.place);
        let (mut next, mut wait) = (0, None);
        loop {
            let before = next;
            match self.sender.send(&part.topic.name, part.partition, &part.records, &mut next) {
                Err(KafkaError::MessageProduction(Code::QueueFull)) => {}
                sent => return sent,
            }
            if next > before {
                wait = None;
            }
            let wait = wait.get_or_insert_with(|| place.wait("commit to", place.limit));
            if wait.left().is_zero() {
                return Err(KafkaError::MessageProduction(Code::QueueFull));
            }
            wait.tell();
            std::thread::sleep(TICK);
            self.sender.client().poll(Duration::ZERO);
        }
    }

    /// Waits until everything is with the brokers.
    fn deliver(&self, wait: &Wait<'_>) -> std::result::Result<(), Setback> {
        loop {
            let is_done = self.sender.flush(LOOK_UP);
            self.client().poll(Duration::ZERO);
            if let Some(error) = self.client().context().take_undelivered() {
                return Err(match self.setback(error) {
                    // Whatever the reason: the transaction lacks a record.
                    Setback::Unknown(error) => Setback::Abort(error),
                    other => other,
                });
            }
            if is_done {
                return Ok(());
            }
            if wait.left().is_zero() {
                return Err(Setback::Abort(KafkaError::Flush(Code::OperationTimedOut)));
            }
            wait.tell();
        }
    }

    /// Another consumer must not have been where this one has read.
    fn check_offsets(&self) -> Result<()> {
        for group in self.groups() {
            let steps: Vec<&OffsetMove> = self.offsets.iter().filter(|step| step.group == group).collect();
            let partitions: Vec<Partition<'_>> = steps.iter().map(|step| step.partition()).collect();
            let stored = self.shared.committed(&group, Isolation::Committed, &partitions)?;
            for (step, found) in steps.into_iter().zip(stored) {
                if found.is_some_and(|found| found != step.from) {
                    return Err(Error::OffsetConflict {
                        group,
                        topic: step.topic.name.clone(),
                        partition: step.partition,
                        expected: step.from,
                        found,
                    });
                }
            }
        }
        Ok(())
    }

    fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.offsets.iter().map(|step| step.group.clone()).collect();
        groups.sort();
        groups.dedup();
        groups
    }

    fn send_group_offsets(&self, group: &str, wait: &Wait<'_>) -> std::result::Result<(), Setback> {
        let mut list = TopicPartitionList::new();
        for step in self.offsets.iter().filter(|step| step.group == group) {
            list.add_partition_offset(&step.topic.name, step.partition as i32, Offset::Offset(step.next))
                .map_err(Setback::Refused)?;
        }
        let metadata = self.shared.group_metadata(group).map_err(Setback::Refused)?;
        self.insist(wait, |left| self.client().send_offsets_to_transaction(&list, &metadata, left))
    }

    /// All of it to the brokers, and then the commit.
    fn try_commit(&mut self, wait: &Wait<'_>) -> std::result::Result<(), Setback> {
        self.produce()?;
        // Before the offsets: the client may wait for ever with those when records fail meanwhile.
        self.deliver(wait)?;
        for group in self.groups() {
            self.send_group_offsets(&group, wait).map_err(|setback| match setback {
                // Only a commit may be asked for again and again.
                Setback::Unknown(error) => Setback::Abort(error),
                other => other,
            })?;
        }
        self.state = State::Committing;
        self.insist(wait, |left| self.client().commit_transaction(left))
    }

    /// Repeats a call whose outcome is unknown until it is known, or the time is over.
    fn insist(
        &self,
        wait: &Wait<'_>,
        mut call: impl FnMut(Duration) -> KafkaResult<()>,
    ) -> std::result::Result<(), Setback> {
        loop {
            match call(wait.left().max(PAUSE)).map_err(|error| self.setback(error)) {
                Err(Setback::Unknown(error)) if wait.left() <= PAUSE => return Err(Setback::Unknown(error)),
                Err(Setback::Unknown(_)) => {
                    wait.tell();
                    std::thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    /// What an error means for the transaction.
    fn setback(&self, error: KafkaError) -> Setback {
        if self.client().client().fatal_error().is_some() {
            return Setback::Fatal(error);
        }
        match &error {
            KafkaError::Transaction(of) if of.is_fatal() => Setback::Fatal(error),
            KafkaError::Transaction(of) if of.txn_requires_abort() => Setback::Abort(error),
            KafkaError::Transaction(of) if of.is_retriable() => Setback::Unknown(error),
            // The client has found out by itself that the transaction can't go on.
            KafkaError::MessageProduction(Code::State | Code::PurgeQueue | Code::PurgeInflight) => {
                Setback::Abort(error)
            }
            KafkaError::MessageProduction(Code::Fatal) => Setback::Fatal(error),
            other => match code(other) {
                Some(Code::QueueFull) => Setback::Abort(error),
                Some(code) if passes(code) => Setback::Unknown(error),
                _ => Setback::Refused(error),
            },
        }
    }

    /// Gives the open transaction up; the client is ready for the next then.
    fn abort_open(&mut self, wait: &Wait<'_>) -> std::result::Result<(), Setback> {
        self.client().purge(PurgeConfig::default().queue().inflight());
        while !self.sender.flush(TICK) && !wait.left().is_zero() {
            self.client().poll(Duration::ZERO);
        }
        let aborted = self.insist(wait, |left| self.client().abort_transaction(left));
        self.client().context().take_undelivered();
        if aborted.is_ok() {
            self.state = State::Closed;
            self.sent = 0;
            self.is_torn = false;
        }
        aborted
    }

    /// The error for the caller, and what is left of the client.
    fn fail(&mut self, setback: Setback, wait: &Wait<'_>) -> Error {
        match setback {
            Setback::Fatal(error) => {
                let fatal = self.client().client().fatal_error();
                let code = fatal.as_ref().map(|(code, _)| *code).or_else(|| code(&error));
                if matches!(code, Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)) {
                    self.state = State::Fenced;
                    return self.fenced();
                }
                self.state = State::Broken;
                let detail = fatal.map_or_else(|| error.to_string(), |(_, text)| text);
                Error::Kafka { operation: "commit to", servers: self.shared.place.servers.clone(), detail }
            }
            Setback::Abort(error) | Setback::Unknown(error) => wait.unreachable(&error.to_string()),
            Setback::Refused(error) => self.shared.place.error("commit to", &error),
        }
    }

    fn fenced(&self) -> Error {
        Error::Fenced { transactional_id: self.transactional_id.clone(), epochs: None }
    }

    /// The transaction is stored.
    fn settle(&mut self) {
        self.state = State::Closed;
        self.sent = 0;
        let (parts, offsets) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.offsets));
        let mut partitions: Vec<Partition<'_>> = parts.iter().map(|part| (&*part.topic.name, part.partition)).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let offsets = offsets.iter().map(|step| (&*step.group, step.partition(), step.next));
        self.shared.note_commit(&partitions, offsets);
    }
}

impl OffsetMove {
    fn partition(&self) -> Partition<'_> {
        (&self.topic.name, self.partition)
    }
}

/// A client whose transactional id is its own from now on.
fn client(shared: &Shared, transactional_id: &str) -> Result<BaseProducer<Context>> {
    let place = &shared.place;
    let own = [
        ("transactional.id", transactional_id),
        ("enable.idempotence", "true"),
        // A report for each record costs more than the record.
        ("delivery.report.only.error", "true"),
    ];
    let defaults = [&sender::DEFAULTS[..], &[("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)]].concat();
    let config = place.config_of(&own, &defaults);
    let client: BaseProducer<Context> =
        config.create_with_context(place.context()).map_err(|source| place.client_error(source))?;
    // Without a connection the client looks for the coordinator, and looks again only half a second later. Any question makes one.
    let _ = client.client().fetch_metadata(None, FIRST_CONTACT);
    place.patiently("register a producer with", |limit| client.init_transactions(limit))?;
    Ok(client)
}

impl Producer for KafkaProducer {
    fn send(&mut self, topic: &str, partition: u32, records: Records) -> Result<()> {
        if matches!(self.state, State::Committing | State::Broken) {
            return Err(Error::Unsettled { transactional_id: self.transactional_id.clone() });
        }
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        let limit = self.shared.place.max_record_bytes();
        let largest = (0..records.len()).map(|i| records.record_bytes(i)).max().unwrap_or(0);
        if largest > limit {
            return Err(Error::RecordTooLarge { topic: topic.name.clone(), bytes: largest, limit });
        }
        if records.is_empty() {
            return Ok(());
        }
        self.parts.push(Part { topic, partition, records });
        // What does not succeed now is said, and mended where it can be, by the commit.
        if !matches!(self.state, State::Fenced) {
            let _ = self.produce();
        }
        Ok(())
    }

    fn send_offsets(&mut self, group: &str, topic: &str, partition: u32, from: i64, next: i64) -> Result<()> {
        if matches!(self.state, State::Committing | State::Broken) {
            return Err(Error::Unsettled { transactional_id: self.transactional_id.clone() });
        }
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        let group = group.to_owned();
        if from < 0 || next < from {
            return Err(Error::BadOffsets { group, topic: topic.name.clone(), partition, from, next });
        }
        let is_same = |step: &&mut OffsetMove| {
            step.partition == partition && step.topic.name == topic.name && step.group == group
        };
        match self.offsets.iter_mut().find(is_same) {
            Some(step) if step.next == from => step.next = next,
            Some(step) => {
                let found = Some(step.next);
                let topic = topic.name.clone();
                return Err(Error::OffsetConflict { group, topic, partition, expected: from, found });
            }
            None => self.offsets.push(OffsetMove { group, topic, partition, from, next }),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let wait = shared.place.wait("commit to", shared.place.limit);
        match self.state {
            State::Fenced => return Err(self.fenced()),
            State::Broken => return Err(Error::Unsettled { transactional_id: self.transactional_id.clone() }),
            State::Closed if self.parts.is_empty() && self.offsets.is_empty() => return Ok(()),
            State::Open { since } if since.elapsed() > OPEN_LIMIT => {
                self.abort_open(&wait).map_err(|setback| self.fail(setback, &wait))?;
            }
            _ => {}
        }
        if self.state != State::Committing {
            self.check_offsets()?;
        }
        loop {
            let done = match self.state {
                State::Committing => self.insist(&wait, |left| self.client().commit_transaction(left)),
                _ => self.try_commit(&wait),
            };
            match done {
                Ok(()) => {
                    self.settle();
                    return Ok(());
                }
                Err(Setback::Abort(error)) => {
                    self.abort_open(&wait).map_err(|setback| self.fail(setback, &wait))?;
                    if wait.left() <= PAUSE {
                        return Err(self.fail(Setback::Abort(error), &wait));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(setback) => return Err(self.fail(setback, &wait)),
            }
        }
    }

    fn abort(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let wait = shared.place.wait("commit to", shared.place.limit);
        let was_stored = match self.state {
            State::Closed | State::Fenced => Ok(false),
            State::Open { .. } => self.abort_open(&wait).map(|()| false),
            // What was asked for can't be taken back; only the answer can be had.
            State::Committing => match self.insist(&wait, |left| self.client().commit_transaction(left)) {
                Ok(()) => Ok(true),
                Err(Setback::Abort(_)) => self.abort_open(&wait).map(|()| false),
                Err(setback) => Err(setback),
            },
            State::Broken => {
                self.sender = Sender::new(client(&self.shared, &self.transactional_id)?);
                self.state = State::Closed;
                self.is_torn = false;
                Ok(false)
            }
        };
        match was_stored {
            Ok(true) => {
                self.settle();
                return Err(Error::AlreadyCommitted { transactional_id: self.transactional_id.clone() });
            }
            Ok(false) => {}
            // Whoever was fenced has nothing that could be stored.
            Err(setback) => match self.fail(setback, &wait) {
                Error::Fenced { .. } => {}
                error => return Err(error),
            },
        }
        self.parts.clear();
        self.offsets.clear();
        self.sent = 0;
        Ok(())
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            // An open transaction holds readers up until the brokers give it up.
            let shared = Arc::clone(&self.shared);
            let _ = self.abort_open(&shared.place.wait("commit to", FAREWELL));
        }
        self.shared.wait_until_seen();
    }
}
