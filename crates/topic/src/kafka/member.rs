//! A member of a consumer group: a consumer that is told which partitions it has and reads none of them; reading is done by others
//! (see `reader`), which can go anywhere in a partition.
//!
//! What a member writes to stands in its client id, which brokers tell with the members of a group: whoever joins asks them first,
//! and again when the group changes, as another one may have come at the same moment.
//!
//! A thread of its own polls it, so that being a member does not depend on how long anything else takes. The group's
//! offsets are stored by producers; what keeps a member that has lost its partitions from storing more is their transactional ids.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::context::Context;
use super::place::{Place, code, passes};
use super::{Shared, lock};
use crate::{Change, Error, Membership, Result, TopicPartition};

const SESSION_TIMEOUT: &str = "session.timeout.ms";
/// The property's default below.
const SESSION: Duration = Duration::from_secs(10);
/// Between two looks at whether to end.
const TICK: Duration = Duration::from_millis(100);
/// Between a client id and what the member writes to.
const TARGET: &str = ".to.";
/// How long brokers that do not answer are asked for the members of the group while this is one of them.
const ASK_LIMIT: Duration = Duration::from_secs(1);

/// What the user's properties may change. Whoever is killed is missed after the session's time-out; that partitions
/// move is heard with a heartbeat; and whoever does not let go of a partition is put out after the last of these.
const DEFAULTS: [(&str, &str); 3] =
    [(SESSION_TIMEOUT, "10000"), ("heartbeat.interval.ms", "200"), ("max.poll.interval.ms", "60000")];

pub(super) struct KafkaMember {
    state: Arc<State>,
    consumer: Arc<BaseConsumer<MemberContext>>,
    poller: Option<JoinHandle<()>>,
}

/// What a member writes to.
struct Target {
    group: String,
    name: String,
}

impl Target {
    /// What another member writes to, and where that is, if it is something else. One that says nothing of it writes to nothing in
    /// common.
    fn other(&self, members: Vec<(String, String)>) -> Option<(String, String)> {
        members.into_iter().find_map(|(client, host)| {
            let (_, found) = client.rsplit_once(TARGET)?;
            (found != self.name).then(|| (found.to_owned(), host))
        })
    }

    fn conflict(&self, (found, host): (String, String)) -> Error {
        let member = format!("at {}", host.trim_start_matches('/'));
        Error::OtherTarget { group: self.group.clone(), target: self.name.clone(), found, member }
    }
}

/// What the polling thread and the others know.
struct State {
    begun: Instant,
    session: Duration,
    /// When the consumer was polled last, in milliseconds since `begun`.
    polled_ms: AtomicU64,
    /// The partitions are lost.
    is_over: AtomicBool,
    /// The group has changed since it was asked for its members.
    has_changed: AtomicBool,
    /// The member is about to leave.
    is_leaving: AtomicBool,
    talk: Mutex<Talk>,
}

#[derive(Default)]
struct Talk {
    changes: Vec<Change>,
    /// Partitions asked back: the group is answered once, when all are let go of.
    asked: Vec<TopicPartition>,
    held_on: Vec<TopicPartition>,
    /// Why the group does not take this member.
    refusal: Option<Error>,
}

impl State {
    /// Notes that the member is alive; one that was not for a whole session has lost what it had, whatever it hears later.
    fn note_life(&self) {
        let now = self.begun.elapsed();
        let before = Duration::from_millis(self.polled_ms.load(Ordering::Acquire));
        if now.saturating_sub(before) > self.session {
            self.end();
        }
        self.polled_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn is_alive(&self) -> bool {
        let polled = Duration::from_millis(self.polled_ms.load(Ordering::Acquire));
        !self.is_over.load(Ordering::Acquire) && self.begun.elapsed().saturating_sub(polled) <= self.session
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    fn hear(&self, place: &Place, error: &KafkaError) {
        let is_passing = match code(error) {
            // What follows from a lost session is told by the rebalance.
            Some(Code::PollExceeded | Code::UnknownMemberId | Code::IllegalGeneration | Code::Fail) | None => true,
            Some(code) => passes(code),
        };
        if !is_passing {
            lock(&self.talk).refusal = Some(place.error("join a group of", error));
        }
    }
}

/// Takes what the group decides down.
struct MemberContext {
    inner: Context,
    state: Arc<State>,
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.inner.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.inner.error(error, reason);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions(list);
        self.state.has_changed.store(true, Ordering::Release);
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // An offset, so that it need not ask for the group's; and nothing is fetched.
            let assigned = list
                .set_all_offsets(Offset::Offset(0))
                .and_then(|()| consumer.incremental_assign(list))
                .and_then(|()| consumer.pause(list));
            match assigned {
                Ok(()) => lock(&self.state.talk).changes.extend(partitions.into_iter().map(Change::Given)),
                Err(_) => self.state.end(),
            }
            return;
        }
        let is_lost = consumer.assignment_lost();
        if is_lost || self.state.is_leaving() {
            if is_lost {
                self.state.end();
            }
            // It fails only where there is nothing to let go of any more.
            let _ = consumer.incremental_unassign(list);
            return;
        }
        let mut talk = lock(&self.state.talk);
        talk.changes.extend(partitions.iter().cloned().map(Change::Asked));
        talk.held_on.extend(partitions.iter().cloned());
        talk.asked.extend(partitions);
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let each = list.elements();
    each.iter().map(|element| TopicPartition::new(element.topic(), element.partition().cast_unsigned())).collect()
}

impl KafkaMember {
    pub(super) fn join(shared: Arc<Shared>, group: &str, topics: &[&str], target: Option<&str>) -> Result<Self> {
        let target = target.map(|name| Target { group: group.to_owned(), name: name.to_owned() });
        if let Some(target) = &target {
            let members =
                shared.place.patiently("ask who is in a group of", |limit| shared.asker.members(group, limit))?;
            target.other(members).map_or(Ok(()), |other| Err(target.conflict(other)))?;
        }
        let client_id = shared.place.client_id();
        let client_id =
            target.as_ref().map_or_else(|| client_id.clone(), |to| format!("{client_id}{TARGET}{}", to.name));
        let own = [
            ("client.id", &*client_id),
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
        ];
        let place = &shared.place;
        let config = place.config_of(&own, &DEFAULTS);
        let session = config.get(SESSION_TIMEOUT).and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let state = Arc::new(State {
            begun: Instant::now(),
            session: session.unwrap_or(SESSION),
            polled_ms: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            has_changed: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            talk: Mutex::default(),
        });
        let context = MemberContext { inner: place.context(), state: Arc::clone(&state) };
        let consumer: BaseConsumer<MemberContext> =
            config.create_with_context(context).map_err(|source| place.client_error(source))?;
        consumer.subscribe(topics).map_err(|source| place.error("join a group of", &source))?;
        let consumer = Arc::new(consumer);
        let poller = std::thread::Builder::new().name("kafka-member".to_owned()).spawn({
            let (consumer, state, shared) = (Arc::clone(&consumer), Arc::clone(&state), Arc::clone(&shared));
            move || poll(&consumer, &state, &shared, target.as_ref())
        });
        let poller = poller.map_err(|source| Error::Kafka {
            operation: "join a group of",
            servers: place.servers.clone(),
            detail: format!("the system gives no thread: {source}"),
        })?;
        Ok(Self { state, consumer, poller: Some(poller) })
    }

    /// Tells the group that all that it has asked back is free.
    fn give_back(&self, asked: &[TopicPartition]) {
        let mut list = TopicPartitionList::with_capacity(asked.len());
        for partition in asked {
            list.add_partition(&partition.topic, partition.partition.cast_signed());
        }
        if self.consumer.incremental_unassign(&list).is_err() {
            // They were lost meanwhile.
            self.state.end();
        }
    }
}

fn poll(consumer: &BaseConsumer<MemberContext>, state: &State, shared: &Shared, target: Option<&Target>) {
    while !state.is_leaving() {
        state.note_life();
        if let Some(Err(error)) = consumer.poll(TICK) {
            state.hear(&shared.place, &error);
        }
        // The client's own thread sends a heartbeat that is due only when something wakes it, or once a second; any question does.
        let _ = consumer.assignment();
        if let Some(target) = target
            && state.has_changed.swap(false, Ordering::AcqRel)
        {
            check(state, shared, target);
        }
    }
}

/// Of two that have joined at the same moment one gives way, and each can tell which.
fn check(state: &State, shared: &Shared, target: &Target) {
    match shared.asker.members(&target.group, ASK_LIMIT) {
        Ok(members) => {
            if let Some(other) = target.other(members).filter(|(found, _)| *found < target.name) {
                lock(&state.talk).refusal = Some(target.conflict(other));
            }
        }
        // It is asked again.
        Err(_) => state.has_changed.store(true, Ordering::Release),
    }
}

impl Membership for KafkaMember {
    fn changes(&self) -> Result<Vec<Change>> {
        let mut talk = lock(&self.state.talk);
        match talk.refusal.take() {
            None => Ok(std::mem::take(&mut talk.changes)),
            Some(error) => Err(error),
        }
    }

    fn release(&self, partition: &TopicPartition) -> Result<()> {
        let mut talk = lock(&self.state.talk);
        talk.held_on.retain(|held| held != partition);
        if talk.held_on.is_empty() && !talk.asked.is_empty() {
            let asked = std::mem::take(&mut talk.asked);
            drop(talk);
            self.give_back(&asked);
        }
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.state.is_alive()
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.state.is_leaving.store(true, Ordering::Release);
        if let Some(poller) = self.poller.take() {
            // It only polls; the consumer, which this value has last, then leaves the group.
            let _ = poller.join();
        }
        let asked = std::mem::take(&mut lock(&self.state.talk).asked);
        if !asked.is_empty() {
            self.give_back(&asked);
        }
    }
}
