//! Where results go. Each sink commits on its own, data and offsets in one atomic step, and both at the same time.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use streamreel_lake::{OffsetRange, Table};
use streamreel_topic::Producer;
use tokio::runtime::Runtime;

use crate::error::{self, Result};
use crate::lane::{ForTopics, Part};
use crate::names;

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

/// The two cleaned topics; how far they are is the consumer group's offset, stored in the same transaction.
pub(crate) struct TopicsSink {
    pub(crate) producer: Box<dyn Producer>,
    pub(crate) group: String,
    /// Partition -> offsets from, next.
    covered: BTreeMap<u32, (i64, i64)>,
}

impl TopicsSink {
    pub(crate) fn new(producer: Box<dyn Producer>, group: String) -> Self {
        Self { producer, group, covered: BTreeMap::new() }
    }
}

impl Sink for TopicsSink {
    type Body = ForTopics;

    fn kind(&self) -> SinkKind {
        SinkKind::Topics
    }

    fn add(&mut self, part: Part<ForTopics>) -> Result<()> {
        for (topic, records) in [(names::CLEAN_EVENTS, part.body.clean), (names::DEAD_LETTERS, part.body.dead)] {
            if !records.is_empty() {
                self.producer
                    .send(topic, part.partition, records)
                    .map_err(error::log("write to the cleaned topics"))?;
            }
        }
        self.covered
            .entry(part.partition)
            .and_modify(|covered| covered.1 = part.next)
            .or_insert((part.from, part.next));
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let commit = error::log("commit to the cleaned topics");
        for (partition, (from, next)) in std::mem::take(&mut self.covered) {
            self.producer.send_offsets(&self.group, names::VIDEO_EVENTS, partition, from, next).map_err(&commit)?;
        }
        self.producer.commit().map_err(&commit)
    }

    fn abort(&mut self) {
        self.covered.clear();
        // What was not committed is never stored, whatever abort answers.
        let _ = self.producer.abort();
    }
}

/// `bronze.events`; how far it is stands in the table's own transactions.
pub(crate) struct BronzeSink {
    pub(crate) table: Table,
    /// Identity of each lane's log, and its topic.
    pub(crate) lanes: Vec<(String, String)>,
    /// `None` only while dropping.
    runtime: Option<Runtime>,
    rows: Vec<RecordBatch>,
    covered: BTreeMap<usize, OffsetRange>,
}

impl BronzeSink {
    pub(crate) fn new(table: Table, lanes: Vec<(String, String)>) -> Result<Self> {
        Ok(Self { table, lanes, runtime: Some(runtime()?), rows: Vec::new(), covered: BTreeMap::new() })
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
        let (log, topic) = &self.lanes[part.lane];
        let covered = self.covered.entry(part.lane).or_insert_with(|| OffsetRange {
            log: log.clone(),
            topic: topic.clone(),
            partition: part.partition as i32,
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
            runtime.block_on(self.table.append_offsets(rows, &ranges)).map_err(error::lake("commit to bronze"))?;
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
