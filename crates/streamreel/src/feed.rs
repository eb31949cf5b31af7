//! Records into the topic `video-events`, in batches: what `ingest` and `simulate` share.

use streamreel_process::names::{CUT, VIDEO_EVENTS};
use streamreel_topic::{Log, Producer, RecordsBuilder, partition_for};

use crate::failure::Outcome;

/// A transaction holds about so many bytes of records ...
const COMMIT_BYTES: usize = 16 << 20;
/// ... or so many records, whichever comes first.
const COMMIT_RECORDS: usize = 100_000;

/// Appends records to `video-events`; a transaction at a time.
pub struct Feed {
    producer: Box<dyn Producer>,
    open: Vec<RecordsBuilder>,
    open_records: usize,
    open_bytes: usize,
    committed: u64,
}

impl Feed {
    /// A feed into a log; the topic is made with `partitions` if it is not there.
    ///
    /// # Errors
    /// What the log says.
    pub fn new(log: &dyn Log, partitions: u32) -> Outcome<Self> {
        let partitions = log.ensure_topic(VIDEO_EVENTS, partitions)?;
        // Feeds never take over from one another: each has an id of its own.
        let producer = log.producer(&format!("feed-{}", uuid::Uuid::new_v4()))?;
        let open = (0..partitions).map(|_| RecordsBuilder::new()).collect();
        Ok(Self { producer, open, open_records: 0, open_bytes: 0, committed: 0 })
    }

    /// Adds a record. `cut_from` is the length of one that was too large and has been cut.
    ///
    /// # Errors
    /// When a full transaction can't be committed.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, payload: &[u8], cut_from: Option<usize>) -> Outcome {
        // Without a key, copies of a record still share a partition.
        let partition = partition_for(key.unwrap_or(payload), self.open.len() as u32);
        let builder = &mut self.open[partition as usize];
        match cut_from {
            None => builder.push(timestamp_ms, key, payload, &[]),
            Some(length) => builder.push(timestamp_ms, key, payload, &[(CUT, length.to_string().as_bytes())]),
        }
        self.open_records += 1;
        self.open_bytes += payload.len();
        if self.open_records >= COMMIT_RECORDS || self.open_bytes >= COMMIT_BYTES { self.commit() } else { Ok(()) }
    }

    /// Commits what is open; when it returns, it is on the disk.
    ///
    /// # Errors
    /// What the log says; the open records are then not in it.
    pub fn commit(&mut self) -> Outcome {
        if self.open_records == 0 {
            return Ok(());
        }
        for (partition, builder) in (0..).zip(&mut self.open) {
            if !builder.is_empty() {
                let records = builder.finish();
                self.producer.send(VIDEO_EVENTS, partition, records)?;
            }
        }
        self.producer.commit()?;
        self.committed += self.open_records as u64;
        (self.open_records, self.open_bytes) = (0, 0);
        Ok(())
    }

    /// Records that are safely in the topic.
    pub fn committed(&self) -> u64 {
        self.committed
    }
}
