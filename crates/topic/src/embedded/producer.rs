//! A producer: compresses on the caller's thread, and keeps its transaction until it is known to be stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{TransactionBehavior, params};
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;

use super::commit::{Batch, OffsetMove, PartitionFrame, stored_sequence};
use super::{Shared, Topic};
use crate::frame::{self, FrameBuilder, MAX_RECORD_BYTES};
use crate::{Error, Producer, Records, Result};

pub(super) struct EmbeddedProducer {
    shared: Arc<Shared>,
    transactional_id: String,
    epoch: i64,
    /// The number of the transaction that is being made, from 1.
    sequence: i64,
    compressor: Compressor<'static>,
    /// The frames not yet full, by row of their partition.
    open: BTreeMap<i64, FrameBuilder>,
    batch: Batch,
    state: State,
    /// The topic that was used last.
    topic: Option<Arc<Topic>>,
    /// The next commits are stored, but report a failure.
    #[cfg(test)]
    pub(super) lost_acks: usize,
}

enum State {
    /// The transaction can take more.
    Open,
    /// A commit of it has failed. When the log refused it, it is certainly not stored; else it may be.
    Failed { batch: Arc<Batch>, is_refused: bool },
    /// A send has failed in the middle: only an abort helps.
    Broken,
}

impl EmbeddedProducer {
    pub(super) fn new(shared: Arc<Shared>, transactional_id: &str) -> Result<Self> {
        let epoch = shared.writer.with(&shared.place, "register a producer with", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let epoch = transaction.query_row(
                "INSERT INTO producer (transactional_id, epoch, sequence) VALUES (?1, 1, 0)
                 ON CONFLICT DO UPDATE SET epoch = epoch + 1, sequence = 0 RETURNING epoch",
                params![transactional_id],
                |row| row.get(0),
            )?;
            transaction.commit()?;
            Ok(epoch)
        })?;
        let compressor = frame::compressor().map_err(|source| Error::File {
            operation: "make a compressor for",
            path: shared.place.file.clone(),
            source,
        })?;
        Ok(Self {
            shared,
            transactional_id: transactional_id.to_owned(),
            epoch,
            sequence: 1,
            compressor,
            open: BTreeMap::new(),
            batch: Batch::default(),
            state: State::Open,
            topic: None,
            #[cfg(test)]
            lost_acks: 0,
        })
    }

    fn topic(&mut self, name: &str) -> Result<Arc<Topic>> {
        if let Some(topic) = &self.topic
            && topic.name == name
        {
            return Ok(Arc::clone(topic));
        }
        let topic = self.shared.topic(name)?;
        self.topic = Some(Arc::clone(&topic));
        Ok(topic)
    }

    fn check_open(&self) -> Result<()> {
        match self.state {
            State::Open => Ok(()),
            _ => Err(Error::Unsettled { transactional_id: self.transactional_id.clone() }),
        }
    }

    fn append(&mut self, partition_id: i64, records: &Records) -> std::io::Result<()> {
        let builder = self.open.entry(partition_id).or_default();
        builder.begin_batch();
        for i in 0..records.len() {
            if builder.is_full_for(records.record_bytes(i)) {
                self.batch.frames.push(close(partition_id, builder, &mut self.compressor)?);
            }
            builder.push(records, i);
        }
        Ok(())
    }

    /// The transaction as it will be stored.
    fn seal(&mut self) -> Result<Batch> {
        for (partition_id, builder) in &mut self.open {
            if builder.is_empty() {
                continue;
            }
            match close(*partition_id, builder, &mut self.compressor) {
                Ok(frame) => self.batch.frames.push(frame),
                Err(source) => {
                    self.state = State::Broken;
                    return Err(Error::Compress { source });
                }
            }
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.transactional_id.clone_from(&self.transactional_id);
        batch.epoch = self.epoch;
        batch.sequence = self.sequence;
        Ok(batch)
    }

    fn store(&mut self, batch: Arc<Batch>) -> Result<()> {
        let stored = self.shared.writer.commit(&self.shared.place, &batch);
        #[cfg(test)]
        let stored = self.lose_ack(stored);
        match stored {
            Ok(()) => {
                self.sequence += 1;
                Ok(())
            }
            Err(error) => {
                let is_refused = matches!(error, Error::Fenced { .. } | Error::OffsetConflict { .. });
                self.state = State::Failed { batch, is_refused };
                Err(error)
            }
        }
    }

    #[cfg(test)]
    fn lose_ack(&mut self, stored: Result<()>) -> Result<()> {
        if self.lost_acks == 0 {
            return stored;
        }
        self.lost_acks -= 1;
        let source = std::io::Error::other("the answer was lost");
        stored.and(Err(Error::File { operation: "hear of", path: self.shared.place.file.clone(), source }))
    }

    /// Whether the transaction of the current sequence number is stored.
    fn is_stored(&self) -> Result<bool> {
        let id = &self.transactional_id;
        let stored = self.shared.readers.with(|reader| stored_sequence(&reader.connection, id))?;
        let (epoch, sequence) = stored.unwrap_or((0, 0));
        if epoch != self.epoch {
            return Err(Error::Fenced { transactional_id: id.clone(), epochs: Some((self.epoch, epoch)) });
        }
        Ok(sequence == self.sequence)
    }
}

fn close(
    partition_id: i64,
    builder: &mut FrameBuilder,
    compressor: &mut Compressor<'static>,
) -> std::io::Result<PartitionFrame> {
    let frame = builder.finish(compressor)?;
    let data_checksum = xxh3_64(&frame.data);
    Ok(PartitionFrame { partition_id, frame, data_checksum })
}

impl Producer for EmbeddedProducer {
    fn send(&mut self, topic: &str, partition: u32, records: Records) -> Result<()> {
        self.check_open()?;
        let partition_id = self.topic(topic)?.partition_id(partition)?;
        let largest = (0..records.len()).map(|i| records.record_bytes(i)).max().unwrap_or(0);
        if largest > MAX_RECORD_BYTES {
            return Err(Error::RecordTooLarge { topic: topic.to_owned(), bytes: largest, limit: MAX_RECORD_BYTES });
        }
        self.append(partition_id, &records).map_err(|source| {
            self.state = State::Broken;
            Error::Compress { source }
        })
    }

    fn send_offsets(&mut self, group: &str, topic: &str, partition: u32, from: i64, next: i64) -> Result<()> {
        self.check_open()?;
        let partition_id = self.topic(topic)?.partition_id(partition)?;
        let (group, topic) = (group.to_owned(), topic.to_owned());
        if from < 0 || next < from {
            return Err(Error::BadOffsets { group, topic, partition, from, next });
        }
        let mut steps = self.batch.offsets.iter_mut();
        match steps.find(|step| step.partition_id == partition_id && step.group == group) {
            Some(step) if step.next == from => step.next = next,
            Some(step) => {
                return Err(Error::OffsetConflict { group, topic, partition, expected: from, found: Some(step.next) });
            }
            None => self.batch.offsets.push(OffsetMove { group, topic, partition, partition_id, from, next }),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Open => {
                let batch = self.seal()?;
                if batch.is_empty() { Ok(()) } else { self.store(Arc::new(batch)) }
            }
            State::Failed { batch, .. } => self.store(batch),
            State::Broken => {
                self.state = State::Broken;
                self.check_open()
            }
        }
    }

    fn abort(&mut self) -> Result<()> {
        self.open.values_mut().for_each(FrameBuilder::clear);
        self.batch = Batch::default();
        if let State::Failed { batch, is_refused: false } = std::mem::replace(&mut self.state, State::Open) {
            let stored = self.is_stored();
            if stored.is_err() {
                // Still unknown: asking again is possible.
                self.state = State::Failed { batch, is_refused: false };
            }
            if stored? {
                self.sequence += 1;
                return Err(Error::AlreadyCommitted { transactional_id: self.transactional_id.clone() });
            }
        }
        Ok(())
    }
}
