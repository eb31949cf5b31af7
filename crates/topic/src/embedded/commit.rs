//! Committing: waiting transactions share one SQLite transaction, and so one sync of the disk.
//!
//! A committer puts its transaction into the queue and takes the connection. Whoever has the connection commits all
//! that is queued by then; those that waited for it meanwhile find theirs done.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension, Savepoint, TransactionBehavior, params};

use super::lock;
use super::read::checksum;
use super::store::{Place, Role};
use crate::frame::Frame;
use crate::{Error, Result};

/// Transactions that share a sync: so many bytes of frames, or one transaction that has more.
const GROUP_BYTES: usize = 64 << 20;
/// When the write-ahead log is larger although it is copied into the file all the time, then readers kept it from
/// starting again; wait for them to pass.
const LARGEST_WAL_BYTES: u64 = 160 << 20;

/// What a producer commits. Kept until it is acknowledged, so that it can be tried again.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) transactional_id: String,
    pub(super) epoch: i64,
    /// The number of this transaction since the producer was made, from 1.
    pub(super) sequence: i64,
    pub(super) frames: Vec<PartitionFrame>,
    pub(super) offsets: Vec<OffsetMove>,
}

/// A frame, the row of its partition, and the checksum of its bytes.
pub(super) struct PartitionFrame {
    pub(super) partition_id: i64,
    pub(super) frame: Frame,
    pub(super) data_checksum: u64,
}

/// A consumer group's step in a partition.
pub(super) struct OffsetMove {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) partition_id: i64,
    pub(super) from: i64,
    pub(super) next: i64,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.offsets.is_empty()
    }

    fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.frame.data.len()).sum()
    }
}

type Answer = Arc<Mutex<Option<Result<()>>>>;

struct Waiting {
    batch: Arc<Batch>,
    answer: Answer,
}

/// The connection that writes, and who waits for it.
pub(super) struct Writer {
    /// `None` on a log that is only read.
    connection: Mutex<Option<Connection>>,
    queue: Mutex<Vec<Waiting>>,
    #[cfg(test)]
    pub(super) syncs: std::sync::atomic::AtomicUsize,
}

impl Writer {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let connection = if place.is_read_only { None } else { Some(place.connect(Role::Write)?) };
        Ok(Self {
            connection: Mutex::new(connection),
            queue: Mutex::default(),
            #[cfg(test)]
            syncs: Default::default(),
        })
    }

    /// Runs `write` on the connection, alone.
    pub(super) fn with<T>(
        &self,
        place: &Place,
        operation: &'static str,
        write: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let mut guard = lock(&self.connection);
        let connection = usable(&mut guard, place)?;
        write(connection).map_err(|source| place.error(operation, source))
    }

    /// Stores a batch durably, together with those of other threads where they wait.
    pub(super) fn commit(&self, place: &Place, batch: &Arc<Batch>) -> Result<()> {
        let answer = Answer::default();
        loop {
            lock(&self.queue).push(Waiting { batch: Arc::clone(batch), answer: Arc::clone(&answer) });
            let mut guard = lock(&self.connection);
            while lock(&answer).is_none() {
                let group = self.next_group();
                if group.is_empty() {
                    break;
                }
                let connection = match usable(&mut guard, place) {
                    Ok(connection) => connection,
                    Err(error) => {
                        // Nobody can write to this log, so each waiting thread may hear of it by itself.
                        lock(&self.queue).retain(|waiting| !Arc::ptr_eq(&waiting.answer, &answer));
                        return Err(error);
                    }
                };
                commit_group(connection, place, &group);
                #[cfg(test)]
                self.syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            drop(guard);
            if let Some(result) = lock(&answer).take() {
                return result;
            }
            // The thread that had taken our batch panicked. The sequence number makes another try safe.
        }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).len()
    }

    fn next_group(&self) -> Vec<Waiting> {
        let mut queue = lock(&self.queue);
        let mut bytes = 0;
        let mut count = 0;
        for waiting in queue.iter() {
            bytes += waiting.batch.bytes();
            if count > 0 && bytes > GROUP_BYTES {
                break;
            }
            count += 1;
        }
        queue.drain(..count).collect()
    }
}

/// The connection, without a transaction that a panic may have left open.
fn usable<'a>(connection: &'a mut Option<Connection>, place: &Place) -> Result<&'a mut Connection> {
    let connection = connection.as_mut().ok_or_else(|| Error::ReadOnly { path: place.file.clone() })?;
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK").map_err(|source| place.error("roll back", source))?;
    }
    Ok(connection)
}

fn commit_group(connection: &mut Connection, place: &Place, group: &[Waiting]) {
    match try_group(connection, group) {
        Ok(results) => {
            for (waiting, result) in group.iter().zip(results) {
                *lock(&waiting.answer) = Some(result);
            }
        }
        Err(source) if group.len() == 1 => *lock(&group[0].answer) = Some(Err(place.error("commit to", source))),
        Err(_) => {
            // What failed as a whole (say a full disk) may work for some of them.
            for waiting in group {
                let result = try_group(connection, std::slice::from_ref(waiting));
                let result = result.map_err(|source| place.error("commit to", source));
                *lock(&waiting.answer) = Some(result.and_then(|mut results| results.pop().unwrap_or(Ok(()))));
            }
        }
    }
    if place.wal_bytes() > LARGEST_WAL_BYTES {
        place.empty_wal(connection);
    }
}

/// One SQLite transaction of all batches; those that are refused leave nothing behind and do not stop the others.
fn try_group(connection: &mut Connection, group: &[Waiting]) -> rusqlite::Result<Vec<Result<()>>> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(group.len());
    for waiting in group {
        let savepoint = transaction.savepoint()?;
        match store(&savepoint, &waiting.batch) {
            Ok(()) => {
                savepoint.commit()?;
                results.push(Ok(()));
            }
            Err(Refusal::Of(error)) => {
                savepoint.finish()?;
                results.push(Err(*error));
            }
            Err(Refusal::Storage(source)) => return Err(source),
        }
    }
    if results.iter().any(Result::is_ok) {
        transaction.commit()?;
    } else {
        transaction.rollback()?;
    }
    Ok(results)
}

/// Why a batch is not stored: for a reason of its own, or because the store fails.
enum Refusal {
    Of(Box<Error>),
    Storage(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(source: rusqlite::Error) -> Self {
        Refusal::Storage(source)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Of(Box::new(error))
    }
}

fn store(savepoint: &Savepoint<'_>, batch: &Batch) -> std::result::Result<(), Refusal> {
    let (epoch, stored) = stored_sequence(savepoint, &batch.transactional_id)?.unwrap_or((0, 0));
    if epoch != batch.epoch {
        let transactional_id = batch.transactional_id.clone();
        return Err(Error::Fenced { transactional_id, epochs: Some((batch.epoch, epoch)) }.into());
    }
    if stored == batch.sequence {
        // Stored before; only the acknowledgement was lost.
        return Ok(());
    }
    if stored + 1 != batch.sequence {
        let (transactional_id, sequence) = (batch.transactional_id.clone(), batch.sequence);
        return Err(Error::OutOfSequence { transactional_id, sequence, stored }.into());
    }
    for step in &batch.offsets {
        store_offset(savepoint, step)?;
    }
    store_frames(savepoint, &batch.frames)?;
    savepoint
        .prepare_cached("UPDATE producer SET sequence = ?2 WHERE transactional_id = ?1")?
        .execute(params![batch.transactional_id, batch.sequence])?;
    Ok(())
}

fn store_offset(connection: &Connection, step: &OffsetMove) -> std::result::Result<(), Refusal> {
    let found = stored_offset(connection, &step.group, step.partition_id)?;
    if found.is_some_and(|found| found != step.from) {
        return Err(Error::OffsetConflict {
            group: step.group.clone(),
            topic: step.topic.clone(),
            partition: step.partition,
            expected: step.from,
            found,
        }
        .into());
    }
    connection
        .prepare_cached(
            "INSERT INTO consumer_offset (consumer_group, partition_id, next_offset) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
        )?
        .execute(params![step.group, step.partition_id, step.next])?;
    Ok(())
}

/// Appends frames, which are in order within each partition.
fn store_frames(connection: &Connection, frames: &[PartitionFrame]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO frame (partition_id, base_offset, max_timestamp_ms, records, raw_bytes, checksum, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut ends = Vec::<(i64, i64, usize)>::new();
    for PartitionFrame { partition_id, frame, data_checksum } in frames {
        let known = ends.iter().position(|(id, ..)| id == partition_id);
        let at = match known {
            Some(at) => at,
            None => {
                let mut statement = connection.prepare_cached("SELECT next_offset FROM partition WHERE id = ?1")?;
                ends.push((*partition_id, statement.query_row([partition_id], |row| row.get(0))?, 0));
                ends.len() - 1
            }
        };
        let (_, next, bytes) = &mut ends[at];
        let (records, raw_bytes) = (i64::from(frame.records), i64::from(frame.raw_bytes));
        let checksum = checksum(*data_checksum, *partition_id, *next, records, raw_bytes);
        insert.execute(params![
            partition_id,
            *next,
            frame.max_timestamp_ms,
            records,
            raw_bytes,
            checksum,
            frame.data.as_slice()
        ])?;
        *next += records;
        *bytes += frame.data.len();
    }
    let mut update =
        connection.prepare_cached("UPDATE partition SET next_offset = ?2, bytes = bytes + ?3 WHERE id = ?1")?;
    for (partition_id, next, bytes) in ends {
        update.execute(params![partition_id, next, bytes as i64])?;
    }
    Ok(())
}

/// Epoch and last sequence number of a transactional id.
pub(super) fn stored_sequence(connection: &Connection, transactional_id: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached("SELECT epoch, sequence FROM producer WHERE transactional_id = ?1")?
        .query_row([transactional_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Where a group goes on in a partition.
pub(super) fn stored_offset(connection: &Connection, group: &str, partition_id: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT next_offset FROM consumer_offset WHERE consumer_group = ?1 AND partition_id = ?2")?
        .query_row(params![group, partition_id], |row| row.get(0))
        .optional()
}
