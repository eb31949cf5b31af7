//! Retention: whole frames are removed from the front of a partition, and the file gives the room back.

use rusqlite::{Connection, TransactionBehavior, params};

use super::commit::stored_offset;
use super::{EmbeddedLog, Shared};
use crate::{Removed, Result, Retention};

/// Frames looked at in one transaction, so that writers need not wait long.
const STEP_FRAMES: u32 = 64;
/// Pages moved in one transaction when the file is made shorter.
const STEP_PAGES: u32 = 1_024;
/// One page of so many may stay free: the next frames take it, which is cheaper than moving pages.
const FREE_SHARE: i64 = 8;

impl EmbeddedLog {
    /// Removes whole frames, and makes the file shorter.
    pub(super) fn remove_old(&self, topic: &str, retention: &Retention) -> Result<Removed> {
        let topic = self.shared.topic(topic)?;
        let mut removed = Removed::default();
        for id in &topic.partition_ids {
            loop {
                let step = self.shared.remove_step(*id, retention)?;
                removed.records += step.records;
                removed.bytes += step.bytes;
                if step.records == 0 {
                    break;
                }
            }
        }
        if removed.records > 0 {
            self.shared.give_back_room()?;
        }
        Ok(removed)
    }
}

impl Shared {
    fn remove_step(&self, partition_id: i64, retention: &Retention) -> Result<Removed> {
        self.writer.with(&self.place, "remove old records from", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (removed, first_offset) = removable(&transaction, partition_id, retention)?;
            if removed.records > 0 {
                transaction.execute(
                    "DELETE FROM frame WHERE partition_id = ?1 AND base_offset < ?2",
                    params![partition_id, first_offset],
                )?;
                transaction.execute(
                    "UPDATE partition SET first_offset = ?2, bytes = bytes - ?3 WHERE id = ?1",
                    params![partition_id, first_offset, removed.bytes as i64],
                )?;
            }
            transaction.commit()?;
            Ok(removed)
        })
    }

    fn give_back_room(&self) -> Result<()> {
        loop {
            let is_done = self.writer.with(&self.place, "shorten", |connection| {
                let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
                let free = number("freelist_count")?;
                if free <= number("page_count")? / FREE_SHARE {
                    return Ok(true);
                }
                let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
                let mut rows = vacuum.query([])?;
                while rows.next()?.is_some() {}
                Ok(number("freelist_count")? >= free)
            })?;
            if is_done {
                break;
            }
        }
        // Only then the file itself is cut.
        self.writer.with(&self.place, "shorten", |connection| {
            self.place.empty_wal(connection);
            Ok(())
        })
    }
}

/// What can go of the first frames of a partition, and the first offset that stays.
fn removable(connection: &Connection, partition_id: i64, retention: &Retention) -> rusqlite::Result<(Removed, i64)> {
    let unread = match &retention.unless_unread_by {
        Some(group) => stored_offset(connection, group, partition_id)?.unwrap_or(0),
        None => i64::MAX,
    };
    let (mut first_offset, bytes): (i64, i64) =
        connection.query_row("SELECT first_offset, bytes FROM partition WHERE id = ?1", [partition_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut statement = connection.prepare_cached(
        "SELECT base_offset, records, max_timestamp_ms, length(data) FROM frame WHERE partition_id = ?1
         ORDER BY base_offset LIMIT ?2",
    )?;
    let mut rows = statement.query(params![partition_id, STEP_FRAMES])?;
    let mut removed = Removed::default();
    while let Some(row) = rows.next()? {
        let (base_offset, records): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (max_timestamp_ms, frame_bytes): (i64, i64) = (row.get(2)?, row.get(3)?);
        let left = bytes.unsigned_abs().saturating_sub(removed.bytes);
        let is_old = retention.before_ms.is_some_and(|before_ms| max_timestamp_ms < before_ms);
        let is_over = retention.max_bytes.is_some_and(|max_bytes| left > max_bytes);
        if base_offset + records > unread || !(is_old || is_over) {
            break;
        }
        removed.records += records.unsigned_abs();
        removed.bytes += frame_bytes.unsigned_abs();
        first_offset = base_offset + records;
    }
    Ok((removed, first_offset))
}
