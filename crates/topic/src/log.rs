//! The two traits: what a log and its producers promise, whoever keeps the records.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::{Error, Membership, Records, Result};

/// A set of topics. Cheap to share: every method takes `&self`, and reads do not wait for writers.
pub trait Log: Send + Sync {
    /// Which log the offsets of this topic belong to: a UUID written when an embedded log is created; cluster id and
    /// topic id on Kafka. Two logs never share one, and a log that is emptied and made anew has another.
    fn identity(&self, topic: &str) -> Result<String>;

    /// Makes the topic unless it is there, and gives the number of partitions that it has, which can be another.
    fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32>;

    /// All topics, by name.
    fn topics(&self) -> Result<Vec<TopicInfo>>;

    /// First offset kept and the offset after the last committed record.
    fn range(&self, topic: &str, partition: u32) -> Result<Range<i64>>;

    /// The offset after the last record that is written, also by transactions that are not decided yet: at least the end of
    /// [`Log::range`]. Readers come to what lies between them when those are.
    fn written_end(&self, topic: &str, partition: u32) -> Result<i64> {
        Ok(self.range(topic, partition)?.end)
    }

    /// Committed records from `offset` on, about `max_bytes` of keys, values and headers: at least one record when
    /// there is one, and none at the end of the partition. Go on at [`Fetched::next_offset`].
    ///
    /// # Errors
    /// [`Error::OffsetGone`](crate::Error::OffsetGone) below the first offset kept,
    /// [`Error::OffsetAhead`](crate::Error::OffsetAhead) beyond the end.
    fn fetch(&self, topic: &str, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched>;

    /// The first offset whose record has a timestamp of at least `timestamp_ms`; the end of the partition when there
    /// is none. (Record timestamps need not rise with offsets.)
    fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64>;

    /// The offset at which a consumer group goes on; `None` when it has not stored one.
    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<i64>>;

    /// Joins a consumer group, whose members share the partitions of these topics. All members of a group name the same ones, and the
    /// same `target`: what they write to together, if anything.
    ///
    /// # Errors
    /// [`Error::OtherTarget`](crate::Error::OtherTarget) when there is a member with another target;
    /// [`Error::UnknownTopic`](crate::Error::UnknownTopic), and those of the store.
    fn join(&self, group: &str, topics: &[&str], target: Option<&str>) -> Result<Box<dyn Membership>>;

    /// A producer with this transactional id. An older producer with the same id is fenced: nothing that it has not
    /// committed by now will ever be stored.
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>>;

    /// A number that differs from the one given before when something may have been committed in between, by whatever
    /// process. It means nothing else, is compared only with those of the same `Log` value, and costs microseconds.
    fn data_version(&self) -> Result<u64>;

    /// Waits until [`Log::data_version`] is not `seen`, at most for `timeout`, and gives the version then.
    fn wait(&self, seen: u64, timeout: Duration) -> Result<u64> {
        const FIRST_PAUSE: Duration = Duration::from_millis(1);
        const LONGEST_PAUSE: Duration = Duration::from_millis(20);
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let version = self.data_version()?;
            let left = timeout.saturating_sub(start.elapsed());
            if version != seen || left.is_zero() {
                return Ok(version);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// How many committed records a partition has below an offset. Where offsets have gaps, those that are kept are
    /// counted by reading them.
    fn count(&self, topic: &str, partition: u32, below: i64) -> Result<Counted> {
        let _ = (topic, partition);
        Ok(Counted { from: 0, records: below })
    }

    /// Removes what `retention` lets go from each partition of a topic. Offsets stay as they are; reading below the
    /// first one kept is [`Error::OffsetGone`](crate::Error::OffsetGone) from then on. A log that can't, removes nothing.
    fn retain(&self, topic: &str, retention: &Retention) -> Result<Removed> {
        let _ = (topic, retention);
        Ok(Removed::default())
    }
}

/// Records of a partition below an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The offset from which on they are counted: 0, or the first offset that is kept.
    pub from: i64,
    /// How many there are.
    pub records: i64,
}

/// What may go. Records at the front of a partition go when they are too old or the partition is too large.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Records older than this time go; milliseconds since 1970. (The embedded log removes whole frames of them.)
    pub before_ms: Option<i64>,
    /// The oldest go until a partition stores no more than so many bytes (compressed), where the log knows how many it
    /// stores.
    pub max_bytes: Option<u64>,
    /// What this consumer group has not read yet stays in any case.
    pub unless_unread_by: Option<String>,
}

/// What retention has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Records; on Kafka an upper bound.
    pub records: u64,
    /// Bytes stored, compressed; 0 where the log does not tell.
    pub bytes: u64,
}

/// One transaction after the other: what was sent since the last commit becomes visible all at once, or never.
///
/// A commit that fails can be called again: it never stores the same transaction twice, also when the failure hid
/// that it had been stored. Dropping a producer aborts.
pub trait Producer: Send {
    /// Adds records to the transaction. The order within a partition is kept.
    fn send(&mut self, topic: &str, partition: u32, records: Records) -> Result<()>;

    /// Adds to the transaction that `group` has processed the partition from offset `from` up to, not including,
    /// `next`. The commit fails with [`Error::OffsetConflict`](crate::Error::OffsetConflict) and stores nothing when
    /// the stored offset is not `from`; a group that has stored none yet may begin anywhere.
    fn send_offsets(&mut self, group: &str, topic: &str, partition: u32, from: i64, next: i64) -> Result<()>;

    /// Stores the transaction durably. Nothing to store is no error. Ranges and offsets that are asked for with the same `Log` from
    /// then on have it; readers elsewhere see it within a moment, and at once when the producer has been dropped.
    ///
    /// # Errors
    /// [`Error::Fenced`](crate::Error::Fenced) when a newer producer has the id,
    /// [`Error::OffsetConflict`](crate::Error::OffsetConflict), and those of the store. The transaction is kept: call
    /// `commit` again or `abort`.
    fn commit(&mut self) -> Result<()>;

    /// Forgets the transaction.
    ///
    /// # Errors
    /// [`Error::AlreadyCommitted`](crate::Error::AlreadyCommitted) when a commit that reported a failure had stored
    /// it. The producer is ready for the next transaction either way.
    fn abort(&mut self) -> Result<()>;
}

/// What a fetch brought.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The records, in the order of their offsets.
    pub records: Records,
    /// Their offsets.
    pub offsets: Offsets,
    /// Where to go on; the offset asked for when there was nothing.
    pub next_offset: i64,
}

impl Fetched {
    /// The offset of record `i`.
    pub fn offset(&self, i: usize) -> i64 {
        self.offsets.get(i)
    }
}

/// The offsets of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offsets {
    /// Gapless, from this one on, as the embedded log gives them.
    From(i64),
    /// One for each record, with gaps where Kafka keeps transaction markers or aborted records.
    Each(Vec<i64>),
}

impl Offsets {
    /// The offset of record `i`.
    pub fn get(&self, i: usize) -> i64 {
        match self {
            // A batch has far fewer than 2^63 records.
            Offsets::From(first) => first + i as i64,
            Offsets::Each(offsets) => offsets[i],
        }
    }
}

impl Default for Offsets {
    fn default() -> Self {
        Offsets::From(0)
    }
}

/// A topic and how full it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Its partitions, in order: partition `p` is the element `p`.
    pub partitions: Vec<PartitionInfo>,
}

impl TopicInfo {
    /// Records that are kept, in all partitions; on Kafka an upper bound.
    pub fn records(&self) -> u64 {
        self.partitions.iter().map(PartitionInfo::records).sum()
    }

    /// Bytes stored, in all partitions; `None` where the log does not tell.
    pub fn bytes(&self) -> Option<u64> {
        self.partitions.iter().map(|partition| partition.bytes).sum()
    }
}

/// How full a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    /// The first offset that is kept.
    pub first_offset: i64,
    /// The offset that the next record will get.
    pub next_offset: i64,
    /// Bytes stored, compressed; `None` where the log does not tell (Kafka).
    pub bytes: Option<u64>,
}

impl PartitionInfo {
    /// Records that are kept: exact on the embedded log, an upper bound on Kafka, whose offsets have gaps.
    pub fn records(&self) -> u64 {
        u64::try_from(self.next_offset - self.first_offset).unwrap_or(0)
    }
}

/// Kafka's rules for names, so that a topic can move there.
pub(crate) fn check_topic(topic: &str, partitions: u32) -> Result<()> {
    const MOST_PARTITIONS: u32 = 10_000;
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let detail = if topic.is_empty() || topic == "." || topic == ".." || topic.len() > 249 {
        "a name has 1 to 249 characters and is not . or .."
    } else if !topic.chars().all(is_legal) {
        "a name has only ASCII letters, digits, '.', '_' and '-'"
    } else if !(1..=MOST_PARTITIONS).contains(&partitions) {
        "a topic has 1 to 10,000 partitions"
    } else {
        return Ok(());
    };
    Err(Error::BadTopic { topic: topic.to_owned(), detail })
}
