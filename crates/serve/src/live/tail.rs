//! What comes into the three topics, read from the ends at which it begins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamreel_event::{Decoder, EventColumns};
use streamreel_topic::{Error, Fetched, Log, PartitionInfo};

use super::lag::ToClean;
use super::viewers::Viewers;
use super::window::Counts;
use crate::server::Names;

/// About so much is read of a partition at a time.
const FETCH_BYTES: usize = 1 << 20;
/// A look takes no longer than about this; what is left comes with the next.
const LOOK: Duration = Duration::from_millis(200);

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// New records.
    pub(crate) counts: Counts,
    /// Records received and not yet cleaned.
    pub(crate) unprocessed: u64,
    /// Of each partition received, where our processor cleans: offsets that it has not got to.
    pub(crate) lags: Vec<u64>,
    /// Records that were ever received, and cleaned.
    pub(crate) received: u64,
    pub(crate) cleaned: u64,
    /// Whether there is more to read.
    pub(crate) is_behind: bool,
}

/// Reads the three topics of a log on and on.
pub(crate) struct Tail {
    log: Arc<dyn Log>,
    names: Names,
    /// Where to go on: topic -> partition -> offset.
    at: HashMap<&'static str, Vec<i64>>,
    decoder: Decoder,
}

impl Tail {
    /// Begins at the ends of the topics as they are now.
    pub(crate) fn new(log: Arc<dyn Log>, names: Names) -> Result<Self, Error> {
        let mut tail = Self { log, names, at: HashMap::new(), decoder: Decoder::new() };
        for topic in tail.topics() {
            let ends = tail.partitions(topic)?.iter().map(|partition| partition.next_offset).collect();
            tail.at.insert(topic, ends);
        }
        Ok(tail)
    }

    fn topics(&self) -> [&'static str; 3] {
        let names = self.names.topics;
        [names.received, names.clean, names.dead_letters]
    }

    /// Partitions of a topic; none where it is not there yet.
    fn partitions(&self, topic: &str) -> Result<Vec<PartitionInfo>, Error> {
        let topics = self.log.topics()?;
        Ok(topics.into_iter().find(|info| info.name == topic).map_or_else(Vec::new, |info| info.partitions))
    }

    /// Reads what is new.
    pub(crate) fn look(&mut self, viewers: &mut Viewers, lag: &mut ToClean, now_us: i64) -> Result<Found, Error> {
        let begun = Instant::now();
        let mut found = Found::default();
        // All ends at one moment, so that they fit together.
        let infos = self.log.topics()?;
        let [received, clean, dead_letters] = self.topics().map(|topic| {
            infos.iter().find(|info| info.name == topic).map_or(&[][..], |info| info.partitions.as_slice())
        });
        let all = |partitions: &[PartitionInfo]| partitions.iter().map(|p| p.next_offset.unsigned_abs()).sum::<u64>();
        (found.received, found.cleaned) = (all(received), all(clean) + all(dead_letters));
        // Offsets of the source measure both; those of the cleaned topics have gaps of their own on a Kafka.
        if let Some(processed) = self.processed(received)? {
            found.cleaned = processed.iter().map(|next| next.unsigned_abs()).sum();
            let lag =
                |(partition, next): (&PartitionInfo, &i64)| u64::try_from(partition.next_offset - next).unwrap_or(0);
            found.lags = received.iter().zip(&processed).map(lag).collect();
        }
        found.unprocessed = found.received.saturating_sub(found.cleaned);
        found.counts.received = self.count(received);
        for (topic, partitions) in [(self.names.topics.clean, clean), (self.names.topics.dead_letters, dead_letters)] {
            for (partition, info) in (0..).zip(partitions) {
                while let Some(fetched) = self.fetch(topic, partition, info)? {
                    if topic == self.names.topics.clean {
                        self.see_clean(&fetched, viewers, lag, now_us);
                        found.counts.clean += fetched.records.len() as u64;
                    } else {
                        self.count_dead(&fetched, &mut found.counts);
                    }
                    if begun.elapsed() > LOOK {
                        found.is_behind = true;
                        return Ok(found);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Offsets of the received topic up to which our processor has each partition; `None` where somebody else cleans.
    fn processed(&self, received: &[PartitionInfo]) -> Result<Option<Vec<i64>>, Error> {
        let (group, topic) = (self.names.topics.group, self.names.topics.received);
        let each = (0..).zip(received).map(|(partition, _)| self.log.committed(group, topic, partition));
        let processed = each.collect::<Result<Vec<_>, _>>()?;
        let is_ours = processed.iter().any(Option::is_some);
        Ok(is_ours.then(|| processed.into_iter().map(Option::unwrap_or_default).collect()))
    }

    /// The offset to go on at; a partition that was not there when the tail began is read from its beginning.
    fn position(&mut self, topic: &'static str, partition: u32) -> &mut i64 {
        let at = self.at.entry(topic).or_default();
        let partition = partition as usize;
        if at.len() <= partition {
            at.resize(partition + 1, 0);
        }
        &mut at[partition]
    }

    /// New records of a topic that is only counted.
    fn count(&mut self, partitions: &[PartitionInfo]) -> u64 {
        let topic = self.names.topics.received;
        let counted = (0..).zip(partitions).map(|(partition, info)| {
            let at = self.position(topic, partition);
            let before = std::mem::replace(at, info.next_offset);
            u64::try_from(info.next_offset - before).unwrap_or(0)
        });
        counted.sum()
    }

    /// The next records up to the end that is known; `None` at it.
    fn fetch(&mut self, topic: &'static str, partition: u32, info: &PartitionInfo) -> Result<Option<Fetched>, Error> {
        let at = self.position(topic, partition);
        // Retention may have been faster, and another log may have been put in the place of this one.
        *at = (*at).clamp(info.first_offset, info.next_offset);
        if *at == info.next_offset {
            return Ok(None);
        }
        let from = *at;
        let fetched = self.log.fetch(topic, partition, from, FETCH_BYTES)?;
        *self.position(topic, partition) = fetched.next_offset;
        Ok(Some(fetched))
    }

    fn see_clean(&mut self, fetched: &Fetched, viewers: &mut Viewers, lag: &mut ToClean, now_us: i64) {
        for row in 0..fetched.records.len() {
            let received_us = fetched.records.timestamp_ms(row).saturating_mul(1000);
            self.decoder.push(fetched.records.value(row), received_us, false);
        }
        let batch = self.decoder.finish();
        let events = EventColumns::new(&batch).expect("the decoder's batches have its columns");
        for row in 0..events.len() {
            // A cleaner of another version may write what this one does not read; the lake is what counts.
            let Some(kind) = events.event_type(row) else { continue };
            let event_us = events.event_ts_us(row);
            viewers.see(events.user_id(row), events.video_id(row), kind, event_us, now_us);
            lag.see(event_us, now_us);
        }
    }

    fn count_dead(&self, fetched: &Fetched, counts: &mut Counts) {
        for row in 0..fetched.records.len() {
            let reason = fetched.records.header(row, self.names.reason_header);
            if reason == Some(self.names.duplicate_reason.as_bytes()) {
                counts.duplicate += 1;
            } else {
                counts.rejected += 1;
            }
        }
    }
}
