//! Reading: a pool of connections, each with its decompressor. In WAL mode a reader sees the last commit before it
//! began and waits for no writer.

use std::ops::Range;
use std::sync::Mutex;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Decompressor;

use super::store::{Place, Role};
use super::{Topic, lock};
use crate::frame;
use crate::{Error, Fetched, Offsets, Records, Result};

/// A batch holds less than 4 GiB, so a fetch stops far below, whatever it is asked for.
const MOST_FETCH_BYTES: usize = 1 << 30;
/// Connections that are kept open for the next read.
const MOST_IDLE: usize = 16;

pub(super) struct Reader {
    pub(super) connection: Connection,
    decompressor: Decompressor<'static>,
}

pub(super) struct Readers {
    place: Place,
    idle: Mutex<Vec<Reader>>,
}

/// A frame's row without its bytes.
struct FrameRow {
    base_offset: i64,
    records: i64,
    raw_bytes: i64,
    checksum: i64,
}

/// What is stored as a frame's checksum: that of its bytes, and of where they belong and how many records they hold.
pub(super) fn checksum(data_checksum: u64, partition_id: i64, base_offset: i64, records: i64, raw_bytes: i64) -> i64 {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&data_checksum.to_le_bytes());
    for (i, value) in [partition_id, base_offset, records, raw_bytes].into_iter().enumerate() {
        bytes[8 + 8 * i..16 + 8 * i].copy_from_slice(&value.to_le_bytes());
    }
    // SQLite's integers are signed; the bits are what counts.
    xxh3_64(&bytes) as i64
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        Self { place, idle: Mutex::default() }
    }

    /// Runs a read on a connection of its own.
    pub(super) fn with<T>(&self, read: impl FnOnce(&mut Reader) -> rusqlite::Result<T>) -> Result<T> {
        self.with_reader(|reader| read(reader).map_err(|source| self.place.error("read", source)))
    }

    fn with_reader<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        let idle = lock(&self.idle).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.open()?,
        };
        let result = read(&mut reader)?;
        let mut idle = lock(&self.idle);
        if idle.len() < MOST_IDLE {
            idle.push(reader);
        }
        Ok(result)
    }

    fn open(&self) -> Result<Reader> {
        let connection = self.place.connect(Role::Read)?;
        let decompressor = Decompressor::new().map_err(|source| Error::File {
            operation: "make a decompressor for",
            path: self.place.file.clone(),
            source,
        })?;
        Ok(Reader { connection, decompressor })
    }

    pub(super) fn fetch(&self, topic: &Topic, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let id = topic.partition_id(partition)?;
        self.with_reader(|reader| {
            let storage = |source| self.place.error("read", source);
            let Reader { connection, decompressor } = reader;
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(storage)?;
            let range = range(&snapshot, id).map_err(storage)?;
            if offset < range.start {
                let (topic, first) = (topic.name.clone(), range.start);
                return Err(Error::OffsetGone { topic, partition, offset, first });
            }
            if offset > range.end {
                let (topic, next) = (topic.name.clone(), range.end);
                return Err(Error::OffsetAhead { topic, partition, offset, next });
            }
            if offset == range.end {
                return Ok(Fetched {
                    records: Records::default(),
                    offsets: Offsets::From(offset),
                    next_offset: offset,
                });
            }
            let frames = Frames { snapshot: &snapshot, id, offset, end: range.end, max_bytes };
            match frames.read(decompressor).map_err(storage)? {
                (records, _) if !records.is_empty() => {
                    let next_offset = offset + records.len() as i64;
                    Ok(Fetched { records, offsets: Offsets::From(offset), next_offset })
                }
                (_, damage) => {
                    let damage = damage.unwrap_or(Damage { offset, next: range.end, detail: "it is missing" });
                    Err(Error::Damaged {
                        topic: topic.name.clone(),
                        partition,
                        offset: damage.offset,
                        next: damage.next,
                        detail: damage.detail.to_owned(),
                    })
                }
            }
        })
    }

    pub(super) fn offset_at(&self, topic: &Topic, partition: u32, timestamp_ms: i64) -> Result<i64> {
        let id = topic.partition_id(partition)?;
        let (frame, range) = self.with(|reader| {
            let snapshot = reader.connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            let mut statement = snapshot.prepare_cached(
                "SELECT min(base_offset) FROM frame WHERE partition_id = ?1 AND max_timestamp_ms >= ?2",
            )?;
            let frame: Option<i64> = statement.query_row(params![id, timestamp_ms], |row| row.get(0))?;
            Ok((frame, range(&snapshot, id)?))
        })?;
        let Some(frame) = frame else { return Ok(range.end) };
        let frame = frame.max(range.start);
        let fetched = self.fetch(topic, partition, frame, 0)?;
        let found = fetched.records.timestamps_ms().iter().position(|timestamp| *timestamp >= timestamp_ms);
        Ok(found.map_or(fetched.next_offset, |i| fetched.offset(i)))
    }
}

impl Reader {
    pub(super) fn range(&self, partition_id: i64) -> rusqlite::Result<Range<i64>> {
        range(&self.connection, partition_id)
    }
}

fn range(connection: &Connection, partition_id: i64) -> rusqlite::Result<Range<i64>> {
    let mut statement = connection.prepare_cached("SELECT first_offset, next_offset FROM partition WHERE id = ?1")?;
    statement.query_row([partition_id], |row| Ok(row.get(0)?..row.get(1)?))
}

struct Damage {
    offset: i64,
    next: i64,
    detail: &'static str,
}

/// The frames of a partition from an offset on, in one snapshot.
struct Frames<'a> {
    snapshot: &'a Transaction<'a>,
    id: i64,
    offset: i64,
    end: i64,
    max_bytes: usize,
}

impl Frames<'_> {
    /// The records of whole frames up to `max_bytes`, at least of one. Stops at a damaged frame, and says so.
    fn read(&self, decompressor: &mut Decompressor<'static>) -> rusqlite::Result<(Records, Option<Damage>)> {
        let mut statement = self.snapshot.prepare_cached(
            "SELECT base_offset, records, raw_bytes, checksum, data FROM frame
             WHERE partition_id = ?1
               AND base_offset >= (SELECT max(base_offset) FROM frame WHERE partition_id = ?1 AND base_offset <= ?2)
             ORDER BY base_offset",
        )?;
        let mut rows = statement.query(params![self.id, self.offset])?;
        let mut records = Records::default();
        let mut next = self.offset;
        while let Some(row) = rows.next()? {
            let frame = FrameRow {
                base_offset: row.get(0)?,
                records: row.get(1)?,
                raw_bytes: row.get(2)?,
                checksum: row.get(3)?,
            };
            let bytes = records.bytes() + usize::try_from(frame.raw_bytes).unwrap_or(usize::MAX);
            if !records.is_empty() && bytes > self.max_bytes.min(MOST_FETCH_BYTES) {
                return Ok((records, None));
            }
            if records.is_empty() {
                records.bytes.reserve(self.expected_bytes(&frame));
            }
            let is_first = next == self.offset;
            if is_first && frame.base_offset + frame.records <= next {
                // The frame that should follow this one is not there.
                let start = frame.base_offset + frame.records;
                let end = rows.next()?.map_or(Ok(self.end), |row| row.get(0))?;
                return Ok((records, Some(Damage { offset: start, next: end, detail: "it is missing" })));
            }
            if frame.base_offset > next || (!is_first && frame.base_offset != next) {
                return Ok((records, Some(Damage { offset: next, next: frame.base_offset, detail: "it is missing" })));
            }
            let after = frame.base_offset + frame.records;
            let data = row.get_ref(4)?.as_blob()?;
            let whole = records.len();
            if let Err(detail) = self.append(&mut records, &frame, data, next, decompressor) {
                records.truncate(whole);
                return Ok((records, Some(Damage { offset: frame.base_offset, next: after, detail })));
            }
            next = after;
        }
        let damage = (next < self.end).then_some(Damage { offset: next, next: self.end, detail: "it is missing" });
        Ok((records, damage))
    }

    /// Room for the whole fetch at once: up to `max_bytes`, or what is left at the size of the first frame's records.
    fn expected_bytes(&self, first: &FrameRow) -> usize {
        let left = (self.end - first.base_offset) as f64 / first.records.max(1) as f64;
        let bytes = left * first.raw_bytes as f64 * 1.05;
        (bytes as usize).min(self.max_bytes).min(MOST_FETCH_BYTES).min(64 << 20)
    }

    fn append(
        &self,
        records: &mut Records,
        frame: &FrameRow,
        data: &[u8],
        from: i64,
        decompressor: &mut Decompressor<'static>,
    ) -> std::result::Result<(), &'static str> {
        let expected = checksum(xxh3_64(data), self.id, frame.base_offset, frame.records, frame.raw_bytes);
        if expected != frame.checksum {
            return Err("its checksum does not match");
        }
        let sizes = (usize::try_from(frame.raw_bytes), usize::try_from(from - frame.base_offset));
        let (Ok(raw_bytes), Ok(skip)) = sizes else { return Err("its size is negative") };
        let count = frame::append(records, data, raw_bytes, skip, decompressor)?;
        if count as i64 != frame.records {
            return Err("it holds another number of records");
        }
        Ok(())
    }
}
