//! Reading partitions: a consumer each, which goes on fetching ahead between two reads, kept for the next read that
//! goes on where it is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use super::place::{Place, passes};
use super::queue::{Event, Queue};
use crate::{Error, Fetched, Offsets, RecordsBuilder, Result};

/// Consumers of this group take no part in it; the name is for the broker's access rules.
const GROUP: &str = "streamreel-reader";
/// A batch holds less than 4 GiB, so a read stops far below, whatever it is asked for.
const MOST_BYTES: usize = 1 << 30;
/// A read of so many bytes and more begins with room for them, and some beyond, taking a record for so many: growing copies what is
/// there, and room that is not used costs nothing.
const LARGE_BYTES: usize = 1 << 20;
const RECORD_BYTES: usize = 200;
/// A read stops when its records have so many different names of headers: looking one up takes longer with each.
const MOST_NAMES: usize = 500;
/// How long a consumer waits for the next message before it looks where it stands.
const LOOK_UP: Duration = Duration::from_millis(20);
/// How long the message after one that came is waited for.
const END_WAIT: Duration = Duration::from_millis(40);
/// A consumer that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Readers of one partition at different places.
const MOST_A_PARTITION: usize = 3;

/// Why a read brought nothing.
pub(super) enum Failure {
    /// The offset is not there any more.
    OutOfRange,
    Other(Error),
}

/// Consumers that are not being used.
#[derive(Default)]
pub(super) struct Readers {
    idle: Mutex<Vec<Reader>>,
}

struct Reader {
    queue: Queue,
    consumer: BaseConsumer<Context>,
    topic: String,
    partition: u32,
    /// The offset of the next record, or below it where there are gaps.
    next: i64,
    /// Where the client last said that the partition has ended.
    ended: Option<i64>,
    /// The client has told of an error that passes.
    had_trouble: bool,
    used: Instant,
}

impl Readers {
    /// Reads committed records from `offset` on, up to `end` or to about `max_bytes`. There must be an end beyond
    /// `offset`.
    pub(super) fn read(
        &self,
        place: &Place,
        topic: &str,
        partition: u32,
        offset: i64,
        end: i64,
        max_bytes: usize,
    ) -> std::result::Result<Fetched, Failure> {
        let kept = self.take(topic, partition, offset).and_then(|reader| reader.at(offset, place.limit));
        let mut reader = match kept {
            Some(reader) => reader,
            None => Reader::new(place, topic, partition, offset).map_err(Failure::Other)?,
        };
        // One that has failed is not used again.
        let fetched = reader.read(place, end, max_bytes)?;
        reader.used = Instant::now();
        if !reader.had_trouble {
            self.put(reader);
        }
        Ok(fetched)
    }

    /// The reader that stands there; else, if the partition has enough of them, the one that was used least lately.
    fn take(&self, topic: &str, partition: u32, offset: i64) -> Option<Reader> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |reader: &Reader| reader.partition == partition && reader.topic == topic;
        if let Some(at) = idle.iter().position(|reader| is_of(reader) && reader.next == offset) {
            return Some(idle.swap_remove(at));
        }
        let of_it: Vec<usize> = (0..idle.len()).filter(|at| is_of(&idle[*at])).collect();
        if of_it.len() < MOST_A_PARTITION {
            return None;
        }
        of_it.into_iter().min_by_key(|at| idle[*at].used).map(|at| idle.swap_remove(at))
    }

    fn put(&self, reader: Reader) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(reader);
        let (kept, old) = std::mem::take(&mut *idle).into_iter().partition(|reader| reader.used.elapsed() < IDLE);
        *idle = kept;
        drop(idle);
        close(old);
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        close(std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// Closing a consumer takes a tenth of a second in which it only waits, so all at once.
fn close(readers: Vec<Reader>) {
    std::thread::scope(|scope| {
        for reader in readers {
            scope.spawn(move || drop(reader));
        }
    });
}

impl Reader {
    fn new(place: &Place, topic: &str, partition: u32, offset: i64) -> Result<Self> {
        let own = [
            ("group.id", GROUP),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("max.poll.interval.ms", "86400000"),
        ];
        let mut config = place.config_of(&own, &DEFAULTS);
        // Taken out of the queue together with messages, its log would be printed.
        config.set_log_level(RDKafkaLogLevel::Emerg);
        let consumer: BaseConsumer<Context> =
            config.create_with_context(place.context()).map_err(|source| place.client_error(source))?;
        let mut list = TopicPartitionList::new();
        let assigned = list
            .add_partition_offset(topic, partition as i32, Offset::Offset(offset))
            .and_then(|()| consumer.assign(&list));
        assigned.map_err(|source| place.error("read from", &source))?;
        let queue = Queue::of(&consumer).ok_or_else(|| Error::Kafka {
            operation: "read from",
            servers: place.servers.clone(),
            detail: "the client has no queue".to_owned(),
        })?;
        Ok(Self {
            queue,
            consumer,
            topic: topic.to_owned(),
            partition,
            next: offset,
            ended: None,
            had_trouble: false,
            used: Instant::now(),
        })
    }

    /// The reader at another offset; `None` if it can't get there.
    fn at(mut self, offset: i64, limit: Duration) -> Option<Self> {
        if self.next != offset {
            self.queue.forget();
            self.consumer.seek(&self.topic, self.partition as i32, Offset::Offset(offset), limit).ok()?;
            (self.next, self.ended) = (offset, None);
        }
        Some(self)
    }

    /// Below it everything was taken out of the queue; 0 where that is not known. The client takes an end, or an error, for a record and
    /// goes past it: one past the last end is no position, and after an error, which need not say where it was, none is.
    fn position(&self) -> i64 {
        if self.had_trouble {
            return 0;
        }
        let positions = self.consumer.position().ok();
        match positions.and_then(|all| all.elements().first().map(|of_partition| of_partition.offset())) {
            Some(Offset::Offset(offset)) if self.ended.is_none_or(|ended| offset != ended + 1) => offset,
            _ => 0,
        }
    }

    fn read(&mut self, place: &Place, end: i64, max_bytes: usize) -> std::result::Result<Fetched, Failure> {
        let most_bytes = max_bytes.clamp(1, MOST_BYTES);
        let room = if most_bytes < LARGE_BYTES { 0 } else { LARGE_BYTES + LARGE_BYTES / 64 };
        let (mut records, mut offsets) = (RecordsBuilder::with_capacity(room / RECORD_BYTES, room), Vec::new());
        let wait = place.wait("read from", place.limit);
        let mut next = self.next;
        while next < end && records.bytes() < most_bytes && records.names() < MOST_NAMES {
            if !self.queue.has_more() {
                // The position of the client passes markers, which come with the records before them and are not shown.
                next = next.max(self.position());
                if next >= end {
                    break;
                }
            }
            // What has come is given soon. But the end is waited for, so that a reader does not stop short of a marker.
            let timeout = if offsets.is_empty() { LOOK_UP } else { END_WAIT };
            let event = self.queue.next(timeout, |event| match event {
                Event::Message(message) => {
                    // From before a change of place.
                    if message.offset() >= next {
                        next = message.offset() + 1;
                        offsets.push(message.offset());
                        let mut headers = Vec::new();
                        message.headers(&mut headers);
                        records.push(message.timestamp_ms(), message.key(), message.value(), &headers);
                    }
                    Ok(())
                }
                Event::End(offset) => {
                    self.ended = Some(offset);
                    next = next.max(offset);
                    Ok(())
                }
                Event::Error { code: Code::AutoOffsetReset | Code::OffsetOutOfRange, .. } => Err(Failure::OutOfRange),
                Event::Error { code, is_fatal, .. } if !is_fatal && (passes(code) || code == Code::Fail) => {
                    self.had_trouble = true;
                    Ok(())
                }
                Event::Error { text, .. } => {
                    let servers = place.servers.clone();
                    Err(Failure::Other(Error::Kafka { operation: "read from", servers, detail: text }))
                }
                Event::Other => Ok(()),
            });
            match event {
                Some(read) => read?,
                None if !offsets.is_empty() => break,
                None => {}
            }
            // Brokers that only complain are no better than silent ones.
            if offsets.is_empty() && next < end {
                if wait.left().is_zero() {
                    return Err(Failure::Other(wait.unreachable("no records came")));
                }
                wait.tell();
            }
        }
        self.next = next;
        Ok(Fetched { records: records.finish(), offsets: Offsets::Each(offsets), next_offset: next })
    }
}

/// What the user's properties may change. A broker with nothing new answers after `fetch.wait.max.ms`; only that answer tells of an
/// end behind records that were given up where their marker is still to come. What is fetched ahead is bounded for each reader.
const DEFAULTS: [(&str, &str); 4] = [
    ("fetch.wait.max.ms", "100"),
    ("fetch.error.backoff.ms", "100"),
    ("queued.max.messages.kbytes", "16384"),
    ("fetch.queue.backoff.ms", "50"),
];
