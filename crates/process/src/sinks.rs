//! Where results go. Each sink commits on its own, data and offsets in one atomic step, and both at the same time.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use streamreel_lake::{OffsetRange, Table};
use streamreel_topic::{Log, Producer};
use tokio::runtime::Runtime;

use crate::error::{self, Result};
use crate::lane::{ForTopics, LaneId, Part};
use crate::names;
use crate::way::Way;

/// Takes the results of stretches, in order within a lane.
pub(crate) trait Sink: Send {
    /// The result of a stretch.
    type Body: Send;

    /// Which one, in reports.
    fn kind(&self) -> SinkKind;

    /// Adds a stretch to the open commit.
    fn add(&mut self, part: Part<Self::Body>) -> Result<()>;

    /// Stores everything added since the last commit, or nothing.
    fn commit(&mut self) -> Result<()>;

    /// Forgets the open commit.
    fn abort(&mut self);
}

/// The sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SinkKind {
    Topics,
    Bronze,
}

/// One partition of the two cleaned topics; how far they are is the consumer group's offset, stored in the same transaction.
pub(crate) struct TopicsSink {
    producer: Box<dyn Producer>,
    group: String,
    partition: u32,
    /// Offsets from, next.
    covered: Option<(i64, i64)>,
}

impl TopicsSink {
    /// Takes the partition over: whoever wrote for it so far is fenced, and what that one had not committed is given up.
    pub(crate) fn claim(log: &dyn Log, group: &str, partition: u32) -> Result<Self> {
        let id = format!("{group}.process.{partition}");
        let producer = log.producer(&id).map_err(error::log("take over the cleaned topics"))?;
        Ok(Self { producer, group: group.to_owned(), partition, covered: None })
    }
}

impl Sink for TopicsSink {
    type Body = ForTopics;

    fn kind(&self) -> SinkKind {
        SinkKind::Topics
    }

    fn add(&mut self, part: Part<ForTopics>) -> Result<()> {
        // The few first: Kafka is told of both topics together then.
        for (topic, records) in [(names::DEAD_LETTERS, part.body.dead), (names::CLEAN_EVENTS, part.body.clean)] {
            if !records.is_empty() {
                self.producer
                    .send(topic, self.partition, records)
                    .map_err(error::log("write to the cleaned topics"))?;
            }
        }
        self.covered.get_or_insert((part.from, part.next)).1 = part.next;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let commit = error::log("commit to the cleaned topics");
        if let Some((from, next)) = self.covered.take() {
            self.producer
                .send_offsets(&self.group, names::VIDEO_EVENTS, self.partition, from, next)
                .map_err(&commit)?;
        }
        self.producer.commit().map_err(&commit)
    }

    fn abort(&mut self) {
        self.covered = None;
        // What was not committed is never stored, whatever abort answers.
        let _ = self.producer.abort();
    }
}

/// `bronze.events`; how far it is stands in the table's own transactions.
pub(crate) struct BronzeSink {
    table: Table,
    way: Way,
    /// `None` only while dropping.
    runtime: Option<Runtime>,
    rows: Vec<RecordBatch>,
    covered: BTreeMap<LaneId, OffsetRange>,
}

impl BronzeSink {
    pub(crate) fn new(table: Table, way: Way) -> Result<Self> {
        Ok(Self { table, way, runtime: Some(runtime()?), rows: Vec::new(), covered: BTreeMap::new() })
    }
}

/// Drives the lake's futures on the threads of this crate.
pub(crate) fn runtime() -> Result<Runtime> {
    let threads = |source| error::Error::Threads { source };
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(threads)
}

impl Sink for BronzeSink {
    type Body = RecordBatch;

    fn kind(&self) -> SinkKind {
        SinkKind::Bronze
    }

    fn add(&mut self, part: Part<RecordBatch>) -> Result<()> {
        let source = &part.source;
        let covered = self.covered.entry(part.lane).or_insert_with(|| OffsetRange {
            log: source.log.clone(),
            topic: source.topic.clone(),
            partition: source.partition.cast_signed(),
            from: part.from,
            next: part.next,
            records: 0,
        });
        covered.next = part.next;
        covered.records += part.records as i64;
        self.rows.push(part.body);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let ranges: Vec<OffsetRange> = std::mem::take(&mut self.covered).into_values().collect();
        if let Some(runtime) = &self.runtime {
            let landing = self.table.append_offsets_while(rows, &ranges, &self.way.unmoved);
            runtime.block_on(landing).map_err(self.way.error("commit to bronze"))?;
        }
        Ok(())
    }

    fn abort(&mut self) {
        self.rows.clear();
        self.covered.clear();
    }
}

impl Drop for BronzeSink {
    fn drop(&mut self) {
        // A runtime must not be waited for where the caller is asynchronous.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
