//! A partition that arrives: taken over from whoever had it, its window rebuilt, and then its part of the cleaned topics written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, sync_channel};

use arrow_schema::SchemaRef;
use streamreel_topic::Log;

use crate::cleaning::{Cleaner, Origin};
use crate::error::Result;
use crate::landing::{CleanedTopic, Lander};
use crate::lane::{Lane, LaneId, Work};
use crate::names;
use crate::positions::Positions;
use crate::rebuild::{Place, rebuild};
use crate::settings::{ReadFrom, Settings};
use crate::sinks::{SinkKind, TopicsSink};
use crate::threads::{Notice, Seat, run_sink};
use crate::watch::Watch;

/// What the threads of partitions share.
pub(crate) struct Keepers<'a> {
    pub(crate) log: &'a dyn Log,
    pub(crate) settings: &'a Settings,
    /// Partitions of a topic.
    pub(crate) partitions: u32,
    pub(crate) positions: &'a Positions<'a>,
    pub(crate) schema: SchemaRef,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) notices: Sender<Notice>,
}

impl Keepers<'_> {
    /// The thread of a partition, from its arrival until the cleaned topics have all of it. The worker that reads it is another
    /// one, so that rebuilding a window holds no other partition up.
    pub(crate) fn keep(&self, id: LaneId, origin: Arc<Origin>, end: Option<i64>, leaves: &AtomicBool) -> Result<()> {
        // Before asking where anything stands: from here on nobody else moves it.
        let mut sink = match self.settings.from {
            ReadFrom::VideoEvents => Some(TopicsSink::claim(self.log, &self.settings.group, origin.partition)?),
            ReadFrom::Cleaned => None,
        };
        let mut lane = self.lane(id, origin, end)?;
        let goes_on = || !leaves.load(Ordering::Acquire) && !self.watch.has_failed();
        if !self.rebuild(&mut lane, &goes_on)? {
            let _ = self.notices.send(Notice::Ended { lane: id });
            return Ok(());
        }
        let Some(sink) = &mut sink else {
            let _ = self.notices.send(Notice::Arrived(Box::new(Seat { lane, topics: None })));
            return Ok(());
        };
        let limits = self.settings.limits(SinkKind::Topics, self.partitions);
        let (queue, items) = sync_channel(limits.queue);
        let _ = self.notices.send(Notice::Arrived(Box::new(Seat { lane, topics: Some(queue) })));
        run_sink(sink, &items, limits, self.watch, &self.notices)?;
        let _ = self.notices.send(Notice::Ended { lane: id });
        Ok(())
    }

    /// The lane, from the lowest offset at which a sink stands.
    fn lane(&self, id: LaneId, origin: Arc<Origin>, end: Option<i64>) -> Result<Lane> {
        let stands = self.positions.of(&origin)?;
        let from = stands.lowest();
        Ok(Lane {
            id,
            at: from,
            covered: from,
            end,
            range_end: stands.range.end,
            topics_from: stands.topics,
            bronze_from: stands.bronze,
            work: self.work(&origin),
            source: origin,
        })
    }

    fn work(&self, origin: &Origin) -> Work {
        let (partition, schema) = (origin.partition, self.schema.clone());
        match &*origin.topic {
            names::CLEAN_EVENTS => Work::Land(Box::new(Lander::new(CleanedTopic::CleanEvents, partition, schema))),
            names::DEAD_LETTERS => Work::Land(Box::new(Lander::new(CleanedTopic::DeadLetters, partition, schema))),
            _ => {
                let window = self.settings.window(self.partitions);
                let cleaner = Cleaner::new(origin.clone(), window, self.settings.keep_payload, schema);
                Work::Clean(Box::new(cleaner), window)
            }
        }
    }

    /// Fills the lane's window. False: it is not wanted any more.
    fn rebuild(&self, lane: &mut Lane, goes_on: &dyn Fn() -> bool) -> Result<bool> {
        let Work::Clean(cleaner, window) = &mut lane.work else { return Ok(goes_on()) };
        let place = Place {
            log: self.log,
            topic: &lane.source.topic,
            partition: lane.source.partition,
            fetch_bytes: self.settings.fetch_bytes,
        };
        let Some(rebuilt) = rebuild(&place, *window, lane.covered, cleaner, goes_on)? else { return Ok(false) };
        let _ = self.notices.send(Notice::Rebuilt(rebuilt));
        Ok(true)
    }
}
