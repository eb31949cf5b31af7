//! Where the sinks stand in a partition: work goes on at the lowest, and a run to the end is over when all have reached it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use streamreel_lake::Table;
use streamreel_topic::{Log, TopicPartition};

use crate::cleaning::Origin;
use crate::error::{self, Error, Result};
use crate::sinks::runtime;
use crate::way;

/// Asks the sinks.
pub(crate) struct Positions<'a> {
    pub(crate) log: &'a dyn Log,
    /// The group whose offsets say where the cleaned topics are; `None` when they are not written.
    pub(crate) group: Option<&'a str>,
    /// `None` when bronze is not written.
    pub(crate) bronze: Option<&'a Mutex<Table>>,
}

/// Where the sinks stand in a partition.
#[derive(Debug, Clone)]
pub(crate) struct Stands {
    /// What the log has.
    pub(crate) range: Range<i64>,
    pub(crate) topics: Option<i64>,
    pub(crate) bronze: Option<i64>,
}

impl Stands {
    pub(crate) fn lowest(&self) -> i64 {
        [self.topics, self.bronze].into_iter().flatten().min().unwrap_or(self.range.start)
    }
}

impl Positions<'_> {
    /// # Errors
    /// [`Error::LogBehind`] and [`Error::RetentionAhead`] when a sink stands where the log has nothing.
    pub(crate) fn of(&self, origin: &Origin) -> Result<Stands> {
        let (topic, partition) = (&*origin.topic, origin.partition);
        // The sinks first: they can't be further than an end that is asked for later.
        let topics = match self.group {
            None => None,
            Some(group) => {
                Some(self.log.committed(group, topic, partition).map_err(error::log("ask for the group's offset"))?)
            }
        };
        let bronze = self.bronze.map(|table| landed(table, origin)).transpose()?;
        let range = range_of(self.log, topic, partition)?;
        let within = |sink: &'static str, stands: Option<i64>| {
            let (topic, stands) = (topic.to_owned(), stands.unwrap_or(range.start));
            if stands > range.end {
                return Err(Error::LogBehind { sink, topic, partition, stands, end: range.end });
            }
            if stands < range.start {
                return Err(Error::RetentionAhead { sink, topic, partition, stands, first: range.start });
            }
            Ok(stands)
        };
        let topics = topics.map(|stands| within("the cleaned topics", stands)).transpose()?;
        let bronze = bronze.map(|stands| within("bronze.events", stands)).transpose()?;
        Ok(Stands { range, topics, bronze })
    }

    /// Whether the sinks have every record below `end`. Where offsets have gaps they may stand before it all the same.
    fn have_reached(&self, origin: &Origin, end: i64) -> Result<bool> {
        let lowest = self.of(origin)?.lowest();
        way::is_empty_between(self.log, &origin.topic, origin.partition, lowest, end)
    }
}

fn landed(table: &Mutex<Table>, origin: &Origin) -> Result<Option<i64>> {
    // The lake's futures need a thread without a runtime of the caller's.
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let landed = runtime()?.block_on(way::landed(&mut table, &origin.log, &origin.topic))?;
            Ok(landed.get(&origin.partition).copied())
        });
        asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn range_of(log: &dyn Log, topic: &str, partition: u32) -> Result<Range<i64>> {
    log.range(topic, partition).map_err(error::log("ask for the range of the topic"))
}

/// What a run to the end has before it: whoever does it, this processor or others of its group.
pub(crate) struct Goal {
    ends: BTreeMap<TopicPartition, End>,
    left: BTreeSet<TopicPartition>,
}

/// Where a partition ended when the run began.
struct End {
    /// What can be read.
    committed: i64,
    /// With what belongs to open transactions, and what is after that.
    written: i64,
}

impl Goal {
    /// The ends as they are now.
    pub(crate) fn of<'o>(log: &dyn Log, origins: impl Iterator<Item = &'o Origin>) -> Result<Self> {
        let mut ends = BTreeMap::new();
        for origin in origins {
            let committed = range_of(log, &origin.topic, origin.partition)?.end;
            let written = log.written_end(&origin.topic, origin.partition);
            let written = written.map_err(error::log("ask for the end of the topic"))?;
            ends.insert(TopicPartition::new(&origin.topic, origin.partition), End { committed, written });
        }
        Ok(Self { left: ends.keys().cloned().collect(), ends })
    }

    /// How many offsets had been written when the run began and can't be read even now: a transaction that began before is still
    /// open.
    pub(crate) fn undecided(&self, log: &dyn Log) -> Result<u64> {
        let mut undecided = 0;
        for (partition, end) in self.ends.iter().filter(|(_, end)| end.written > end.committed) {
            let now = range_of(log, &partition.topic, partition.partition)?.end;
            undecided += u64::try_from(end.written - now).unwrap_or_default();
        }
        Ok(undecided)
    }

    /// Where a partition ends.
    pub(crate) fn end(&self, partition: &TopicPartition) -> Option<i64> {
        self.ends.get(partition).map(|end| end.committed)
    }

    /// Whether everything is done.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// A partition is done.
    pub(crate) fn note(&mut self, partition: &TopicPartition) {
        self.left.remove(partition);
    }

    /// Asks where the sinks stand in what is left, up to the first partition that is not done. True: nothing is left.
    pub(crate) fn is_reached<'o>(
        &mut self,
        positions: &Positions<'_>,
        origins: impl Iterator<Item = &'o Origin>,
    ) -> Result<bool> {
        for origin in origins {
            let partition = TopicPartition::new(&origin.topic, origin.partition);
            let Some(end) = self.left.contains(&partition).then(|| self.end(&partition)).flatten() else { continue };
            if !positions.have_reached(origin, end)? {
                return Ok(false);
            }
            self.left.remove(&partition);
        }
        Ok(true)
    }
}
