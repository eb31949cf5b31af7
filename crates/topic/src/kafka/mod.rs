//! [`KafkaLog`]: the topics of an Apache Kafka, through librdkafka.
//!
//! Readers see committed records only, and ends are those of what is committed. Producers are transactional. A consumer group says who
//! works on which partition; what guards a partition against somebody who has lost it is the transactional id, which
//! brokers give to one producer at a time.

mod admin;
mod ask;
mod context;
mod member;
mod place;
mod producer;
mod queue;
mod reader;
mod sender;
mod unseen;
mod version;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use crate::{
    Counted, Error, Fetched, Log, Membership, Offsets, PartitionInfo, Producer, Records, Removed, Result, Retention,
    TopicInfo,
};
use admin::Admin;
use ask::{Asker, Isolation, Partition};
use member::KafkaMember;
pub use place::KafkaSettings;
use place::Place;
use producer::KafkaProducer;
use reader::{Failure, Readers};
use unseen::Unseen;
use version::Versions;

/// How long the first answer of a broker is waited for, if not less is allowed at all.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// About so much is read at a time to look for a record.
const LOOK_BYTES: usize = 1 << 20;
/// ... and to count them.
const COUNT_BYTES: usize = 8 << 20;
/// How long a committed transaction is waited for to be seen by readers, who also wait for those of others.
const SEEN_LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at whether it is.
const SEEN_LOOK: Duration = Duration::from_millis(2);
/// A topic that was just made is known to all brokers after a moment.
const SPREADING: Duration = Duration::from_millis(20);

/// The topics of a Kafka. Clones share it.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    cluster: String,
    /// Asks for what is committed.
    asker: Asker,
    /// Changes things; made when it is needed.
    admin: Mutex<Option<Arc<Admin>>>,
    /// Clients that ask for something else, made when they are needed.
    askers: Mutex<HashMap<Question, Arc<Asker>>>,
    topics: RwLock<HashMap<String, Arc<Topic>>>,
    /// Ranges as last seen: a partition's end only rises.
    ranges: Mutex<HashMap<(String, u32), Range<i64>>>,
    /// Records counted so far, and up to which offset.
    counts: Mutex<HashMap<(String, u32), (Counted, i64)>>,
    readers: Readers,
    versions: Mutex<Versions>,
    unseen: Mutex<Unseen>,
}

/// What a client asks for: of which group, if of one, and with which isolation.
type Question = (Option<String>, Isolation);

/// A topic as it was when it was first used.
struct Topic {
    name: String,
    partitions: u32,
}

impl Topic {
    fn check(&self, partition: u32) -> Result<()> {
        if partition < self.partitions {
            return Ok(());
        }
        Err(Error::UnknownPartition { topic: self.name.clone(), partition, partitions: self.partitions })
    }

    fn each(&self) -> Vec<Partition<'_>> {
        (0..self.partitions).map(|partition| (&*self.name, partition)).collect()
    }
}

impl KafkaLog {
    /// Connects, and waits for the first answer.
    ///
    /// # Errors
    /// [`Error::BadPlace`] for an address or a property that is none, [`Error::Unreachable`] when no broker answers,
    /// [`Error::NotLetIn`] when one refuses the login, or has a certificate that is not trusted.
    pub fn open(settings: &KafkaSettings) -> Result<Self> {
        let place = Place::new(settings)?;
        let asker = Asker::new(&place, None, Isolation::Committed)?;
        let limit = FIRST_ANSWER.min(place.limit);
        let cluster = place.connect(limit, |limit| asker.cluster(limit))?;
        Ok(Self {
            shared: Arc::new(Shared {
                place,
                cluster,
                asker,
                admin: Mutex::default(),
                askers: Mutex::default(),
                topics: RwLock::default(),
                ranges: Mutex::default(),
                counts: Mutex::default(),
                readers: Readers::default(),
                versions: Mutex::default(),
                unseen: Mutex::default(),
            }),
        })
    }
}

impl Log for KafkaLog {
    fn identity(&self, topic: &str) -> Result<String> {
        let shared = &self.shared;
        let name = &shared.topic(topic)?.name;
        let admin = shared.admin()?;
        let id = shared.place.patiently("ask for the id of a topic of", |limit| admin.topic_id(name, limit))?;
        Ok(format!("{}.{id}", shared.cluster))
    }

    fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32> {
        crate::log::check_topic(topic, partitions)?;
        if let Some(topic) = self.shared.find_topic(topic)? {
            return Ok(topic.partitions);
        }
        self.shared.create_topic(topic, partitions)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>> {
        let shared = &self.shared;
        let topics = shared.place.patiently("list the topics of", |limit| shared.asker.topics(limit))?;
        let all: Vec<Partition<'_>> =
            topics.iter().flat_map(|(name, count)| (0..*count).map(|partition| (&**name, partition))).collect();
        let mut ranges = shared.ranges(&all)?.into_iter();
        let infos = topics.iter().map(|(name, count)| {
            let partitions = ranges.by_ref().take(*count as usize);
            let info =
                |range: Range<i64>| PartitionInfo { first_offset: range.start, next_offset: range.end, bytes: None };
            TopicInfo { name: name.clone(), partitions: partitions.map(info).collect() }
        });
        Ok(infos.collect())
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<i64>> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        self.shared.range(&topic, partition)
    }

    fn written_end(&self, topic: &str, partition: u32) -> Result<i64> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        let asker = self.shared.asker(None, Isolation::Open)?;
        let ends = self.shared.ends_of(&asker, &[(&topic.name, partition)], self.shared.place.limit)?;
        Ok(ends.first().copied().unwrap_or_default())
    }

    fn fetch(&self, topic: &str, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        self.shared.fetch(&topic, partition, offset, max_bytes)
    }

    fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        // By an answer that has all that was committed here, the next one has it, too.
        self.shared.ends(&[(&topic.name, partition)])?;
        let found = self.shared.place.patiently("look for a time in", |limit| {
            // Below 0 brokers take it for something else.
            let at = Offset::Offset(timestamp_ms.max(0));
            self.shared.asker.offsets(&[(&topic.name, partition)], at, limit)
        })?;
        let end = self.shared.range(&topic, partition)?.end;
        let mut at = found.first().copied().flatten().unwrap_or(end);
        // That may be a transaction marker, whose time is that of its commit. All records before it are older.
        while at < end {
            let fetched = self.shared.fetch(&topic, partition, at, LOOK_BYTES)?;
            let found = fetched.records.timestamps_ms().iter().position(|timestamp| *timestamp >= timestamp_ms);
            if let Some(i) = found {
                return Ok(fetched.offset(i));
            }
            at = fetched.next_offset;
        }
        Ok(end)
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<i64>> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        let partition = (&*topic.name, partition);
        let own = lock(&self.shared.unseen).offset(group, partition);
        // Others may have a transaction open for long, which is not waited for; one of its own is as good as done.
        let isolation = if own.is_some() { Isolation::Committed } else { Isolation::Open };
        let stored = self.shared.committed(group, isolation, &[partition])?;
        Ok(stored.first().copied().flatten())
    }

    fn join(&self, group: &str, topics: &[&str], target: Option<&str>) -> Result<Box<dyn Membership>> {
        for topic in topics {
            self.shared.topic(topic)?;
        }
        Ok(Box::new(KafkaMember::join(Arc::clone(&self.shared), group, topics, target)?))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        Ok(Box::new(KafkaProducer::new(Arc::clone(&self.shared), transactional_id)?))
    }

    fn data_version(&self) -> Result<u64> {
        self.shared.version()
    }

    fn count(&self, topic: &str, partition: u32, below: i64) -> Result<Counted> {
        let topic = self.shared.topic(topic)?;
        topic.check(partition)?;
        self.shared.count(&topic, partition, below)
    }

    fn retain(&self, topic: &str, retention: &Retention) -> Result<Removed> {
        self.shared.retain(topic, retention)
    }
}

impl Shared {
    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.find_topic(name)?.ok_or_else(|| Error::UnknownTopic { topic: name.to_owned() })
    }

    fn find_topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        if let Some(topic) = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(Arc::clone(topic)));
        }
        let found = self.place.patiently("ask for a topic of", |limit| self.asker.partitions(name, limit))?;
        let Some(partitions) = found else { return Ok(None) };
        let topic = Arc::new(Topic { name: name.to_owned(), partitions });
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.to_owned(), Arc::clone(&topic));
        Ok(Some(topic))
    }

    fn create_topic(&self, name: &str, partitions: u32) -> Result<u32> {
        let operation = "make a topic on";
        let brokers = self.place.patiently(operation, |limit| self.asker.brokers(limit))?;
        let admin = self.admin()?;
        self.place.patiently(operation, |limit| admin.create(name, partitions, brokers, limit))?;
        let wait = self.place.wait(operation, self.place.limit);
        loop {
            if let Some(topic) = self.find_topic(name)?
                && self.ranges(&topic.each()).is_ok()
            {
                return Ok(topic.partitions);
            }
            if wait.left().is_zero() {
                return Err(wait.unreachable("the topic did not appear"));
            }
            wait.tell();
            std::thread::sleep(SPREADING);
        }
    }

    /// Ending such a client takes a tenth of a second, so it is kept.
    fn admin(&self) -> Result<Arc<Admin>> {
        let mut admin = lock(&self.admin);
        if let Some(admin) = &*admin {
            return Ok(Arc::clone(admin));
        }
        let made = Arc::new(Admin::new(&self.place)?);
        *admin = Some(Arc::clone(&made));
        Ok(made)
    }

    /// A client for questions about a group, or with another isolation.
    fn asker(&self, group: Option<&str>, isolation: Isolation) -> Result<Arc<Asker>> {
        let mut askers = lock(&self.askers);
        let key = (group.map(str::to_owned), isolation);
        if let Some(asker) = askers.get(&key) {
            return Ok(Arc::clone(asker));
        }
        let asker = Arc::new(Asker::new(&self.place, group, isolation)?);
        askers.insert(key, Arc::clone(&asker));
        Ok(asker)
    }

    fn committed(&self, group: &str, isolation: Isolation, partitions: &[Partition<'_>]) -> Result<Vec<Option<i64>>> {
        self.committed_within(group, isolation, partitions, self.place.limit)
    }

    fn committed_within(
        &self,
        group: &str,
        isolation: Isolation,
        partitions: &[Partition<'_>],
        limit: Duration,
    ) -> Result<Vec<Option<i64>>> {
        let asker = self.asker(Some(group), isolation)?;
        let own = {
            let unseen = lock(&self.unseen);
            let of = |partition| Some((partition, unseen.offset(group, partition)?));
            partitions.iter().copied().filter_map(of).collect::<Vec<_>>()
        };
        let operation = "ask for the offsets of a group of";
        let offsets = self.place.within(limit, operation, |left| asker.committed(partitions, left))?;
        if isolation == Isolation::Committed {
            let mut unseen = lock(&self.unseen);
            own.into_iter().for_each(|(partition, next)| unseen.see_offset(group, partition, next));
        }
        Ok(offsets)
    }

    /// Says on whose behalf a transaction stores offsets.
    fn group_metadata(&self, group: &str) -> KafkaResult<ConsumerGroupMetadata> {
        let asker = self.asker(Some(group), Isolation::Committed);
        let metadata = asker.ok().and_then(|asker| asker.consumer().group_metadata());
        metadata.ok_or(KafkaError::ConsumerCommit(Code::UnknownGroup))
    }

    /// Where committed records end, with all that was committed here.
    fn ends(&self, partitions: &[Partition<'_>]) -> Result<Vec<i64>> {
        self.ends_within(partitions, self.place.limit)
    }

    /// The same, for brokers that answer within this time.
    fn ends_within(&self, partitions: &[Partition<'_>], limit: Duration) -> Result<Vec<i64>> {
        let until = Instant::now() + SEEN_LIMIT;
        loop {
            let ends = self.ends_of(&self.asker, partitions, limit)?;
            if self.has_seen(partitions.iter().copied().zip(ends.iter().copied())) {
                return Ok(ends);
            }
            if Instant::now() >= until {
                let mut unseen = lock(&self.unseen);
                partitions.iter().for_each(|partition| unseen.forget_end(*partition));
                return Ok(ends);
            }
            std::thread::sleep(SEEN_LOOK);
        }
    }

    fn ends_of(&self, asker: &Asker, partitions: &[Partition<'_>], limit: Duration) -> Result<Vec<i64>> {
        let ends = self
            .place
            .within(limit, "ask for the ends of topics of", |left| asker.offsets(partitions, Offset::End, left))?;
        Ok(ends.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Whether readers, to whom partitions end here, see all that was committed here.
    fn has_seen<'a>(&self, ends: impl Iterator<Item = (Partition<'a>, i64)>) -> bool {
        let mut unseen = lock(&self.unseen);
        ends.fold(true, |all, (partition, end)| unseen.see_end(partition, end) && all)
    }

    fn ranges(&self, partitions: &[Partition<'_>]) -> Result<Vec<Range<i64>>> {
        let firsts = self.place.patiently("ask for the beginnings of topics of", |limit| {
            self.asker.offsets(partitions, Offset::Beginning, limit)
        })?;
        let ends = self.ends(partitions)?;
        let ranges = firsts.into_iter().zip(ends).map(|(first, end)| {
            let first = first.unwrap_or_default();
            first..end.max(first)
        });
        Ok(ranges.collect())
    }

    fn range(&self, topic: &Topic, partition: u32) -> Result<Range<i64>> {
        let range = self.ranges(&[(&topic.name, partition)])?.pop().unwrap_or_default();
        Ok(self.note_range(topic, partition, range))
    }

    /// The same of a partition whose start is known, or has been: whoever reads what is gone is told so.
    fn range_from(&self, topic: &Topic, partition: u32, start: i64) -> Result<Range<i64>> {
        let end = self.ends(&[(&topic.name, partition)])?.pop().unwrap_or_default();
        Ok(self.note_range(topic, partition, start..end.max(start)))
    }

    fn note_range(&self, topic: &Topic, partition: u32, range: Range<i64>) -> Range<i64> {
        lock(&self.ranges).insert((topic.name.clone(), partition), range.clone());
        range
    }

    fn fetch(&self, topic: &Topic, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let known = lock(&self.ranges).get(&(topic.name.clone(), partition)).cloned();
        let mut range = match known {
            Some(range) if range.contains(&offset) || (range.end == offset && lock(&self.versions).is_fresh()) => range,
            Some(range) if offset >= range.end => self.range_from(topic, partition, range.start)?,
            _ => self.range(topic, partition)?,
        };
        loop {
            let topic_name = || topic.name.clone();
            if offset < range.start {
                return Err(Error::OffsetGone { topic: topic_name(), partition, offset, first: range.start });
            }
            if offset > range.end {
                return Err(Error::OffsetAhead { topic: topic_name(), partition, offset, next: range.end });
            }
            if offset == range.end {
                let offsets = Offsets::Each(Vec::new());
                return Ok(Fetched { records: Records::default(), offsets, next_offset: offset });
            }
            match self.readers.read(&self.place, &topic.name, partition, offset, range.end, max_bytes) {
                Ok(fetched) => return Ok(fetched),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::OutOfRange) => {
                    let now = self.range(topic, partition)?;
                    if now.contains(&offset) && now == range {
                        let detail = format!("offset {offset} is within {now:?}, and out of range");
                        let servers = self.place.servers.clone();
                        return Err(Error::Kafka { operation: "read from", servers, detail });
                    }
                    range = now;
                }
            }
        }
    }

    /// Counts by reading; what was counted before is remembered, so that only what is new is read again.
    fn count(&self, topic: &Topic, partition: u32, below: i64) -> Result<Counted> {
        let key = (topic.name.clone(), partition);
        let start = self.range(topic, partition)?.start;
        let known = lock(&self.counts).get(&key).copied();
        let known = known.filter(|(counted, next)| counted.from == start && *next <= below);
        let (mut counted, mut next) = known.unwrap_or((Counted { from: start, records: 0 }, start));
        while next < below {
            let fetched = self.fetch(topic, partition, next, COUNT_BYTES)?;
            if fetched.next_offset == next {
                break;
            }
            let offsets = (0..fetched.records.len()).map(|i| fetched.offset(i));
            let (inside, beyond): (Vec<i64>, Vec<i64>) = offsets.partition(|offset| *offset < below);
            counted.records += inside.len() as i64;
            next = if beyond.is_empty() { fetched.next_offset.min(below) } else { below };
        }
        lock(&self.counts).insert(key, (counted, next));
        Ok(counted)
    }

    /// Notes what was committed here: records in these partitions, and offsets of groups.
    fn note_commit<'a>(
        &self,
        partitions: &[Partition<'_>],
        offsets: impl Iterator<Item = (&'a str, Partition<'a>, i64)>,
    ) {
        // Those of others are among them; a broker that does not answer now is no reason to take the commit for less.
        let asker = self.asker(None, Isolation::Open);
        let open = asker.and_then(|asker| self.ends_of(&asker, partitions, SEEN_LIMIT));
        let mut unseen = lock(&self.unseen);
        for (partition, end) in partitions.iter().zip(open.unwrap_or_default()) {
            unseen.note_end(*partition, end);
        }
        offsets.for_each(|(group, partition, next)| unseen.note_offset(group, partition, next));
        drop(unseen);
        lock(&self.versions).expire();
    }

    /// Waits until readers elsewhere see what was committed here, too; not for long, as a transaction of somebody else may be in
    /// the way.
    fn wait_until_seen(&self) {
        let (ends, offsets) = {
            let unseen = lock(&self.unseen);
            (unseen.partitions(), unseen.groups())
        };
        let partitions: Vec<Partition<'_>> = ends.iter().map(|(topic, partition)| (&**topic, *partition)).collect();
        // Nobody is left to be told of what is not answered.
        let _ = self.ends_within(&partitions, SEEN_LIMIT);
        for (group, topic, partition) in &offsets {
            let partition = [(&**topic, *partition)];
            if self.committed_within(group, Isolation::Committed, &partition, SEEN_LIMIT).is_err() {
                break;
            }
        }
    }

    fn version(&self) -> Result<u64> {
        // Those who ask meanwhile wait, and take the same answer.
        let mut versions = lock(&self.versions);
        if let Some(version) = versions.fresh() {
            return Ok(version);
        }
        let topics: Vec<Arc<Topic>> =
            self.topics.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let partitions: Vec<Partition<'_>> = topics.iter().flat_map(|topic| topic.each()).collect();
        // One try: whoever watches asks again soon.
        let asked = self
            .place
            .within(Duration::ZERO, "watch", |_| self.asker.offsets(&partitions, Offset::End, Duration::from_secs(1)));
        match asked {
            Ok(ends) => {
                let names = partitions.iter().map(|(topic, partition)| ((*topic).to_owned(), *partition));
                let ends = ends.into_iter().map(Option::unwrap_or_default);
                let mut ranges = lock(&self.ranges);
                Ok(versions.update(names.zip(ends).inspect(|(partition, end)| {
                    if let Some(range) = ranges.get_mut(partition) {
                        range.end = range.end.max(*end);
                    }
                })))
            }
            Err(error) => versions.fail(self.place.limit).ok_or(error),
        }
    }

    /// Removes what is too old and what the group has read. How many bytes a partition has is not known here, so nothing
    /// is removed for its size.
    fn retain(&self, topic: &str, retention: &Retention) -> Result<Removed> {
        let topic = self.topic(topic)?;
        let Some(before_ms) = retention.before_ms else { return Ok(Removed::default()) };
        let each = topic.each();
        let ranges = self.ranges(&each)?;
        let at = Offset::Offset(before_ms.max(0));
        let kept = self.place.patiently("look for a time in", |limit| self.asker.offsets(&each, at, limit))?;
        let read = match &retention.unless_unread_by {
            Some(group) => self.committed(group, Isolation::Committed, &each)?,
            None => vec![Some(i64::MAX); each.len()],
        };
        let mut removed = Removed::default();
        let mut firsts = Vec::new();
        for (((partition, range), kept), read) in each.into_iter().zip(ranges).zip(kept).zip(read) {
            let first = kept.unwrap_or(range.end).min(read.unwrap_or(0)).min(range.end);
            if first > range.start {
                removed.records += (first - range.start).unsigned_abs();
                firsts.push((partition, first));
            }
        }
        if !firsts.is_empty() {
            let admin = self.admin()?;
            self.place.patiently("remove old records from", |limit| admin.remove_below(&firsts, limit))?;
            lock(&self.ranges).retain(|(name, _), _| *name != topic.name);
        }
        Ok(removed)
    }
}

impl Drop for Shared {
    /// Ends clients side by side: each takes a tenth of a second in which it only waits.
    fn drop(&mut self) {
        let (readers, admin) = (std::mem::take(&mut self.readers), lock(&self.admin).take());
        let askers = std::mem::take(&mut *lock(&self.askers));
        std::thread::scope(|scope| {
            scope.spawn(move || drop(admin));
            for asker in askers.into_values() {
                scope.spawn(move || drop(asker));
            }
            drop(readers);
        });
    }
}

/// A mutex's content, also after a panic elsewhere: what these mutexes guard is whole between any two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
