//! [`EmbeddedLog`]: topics in one SQLite file, for any number of threads and processes at a time.
//!
//! Writes go through one connection, which commits all waiting transactions with one sync (see `commit`); reads
//! through connections of their own, which never wait for it (see `read`). A frame of records is a row.

mod commit;
mod member;
mod producer;
mod read;
mod retention;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::{
    Error, Fetched, Log, Membership, PartitionInfo, Producer, Removed, Result, Retention, TopicInfo, TopicPartition,
};
use commit::Writer;
use member::EmbeddedMember;
use producer::EmbeddedProducer;
use read::Readers;
use store::{Place, Role};

/// A durable log in a folder of its own. Clones share it.
#[derive(Clone)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

struct Shared {
    place: Place,
    identity: String,
    writer: Writer,
    readers: Readers,
    /// Its `data_version` counts the commits of all other connections.
    watcher: Mutex<Connection>,
    /// Topics never change once made, so what was read stays true.
    topics: RwLock<HashMap<String, Arc<Topic>>>,
}

/// A topic as the tables have it: element `p` is the row of partition `p`.
struct Topic {
    name: String,
    partition_ids: Vec<i64>,
}

impl Topic {
    fn partition_id(&self, partition: u32) -> Result<i64> {
        self.partition_ids.get(partition as usize).copied().ok_or_else(|| Error::UnknownPartition {
            topic: self.name.clone(),
            partition,
            partitions: self.partition_ids.len() as u32,
        })
    }
}

impl EmbeddedLog {
    /// Opens the log in `folder`, or makes one when the folder is empty or not there.
    ///
    /// # Errors
    /// [`Error::NotALog`] when something else is there, [`Error::OtherLayout`] for a log of another program version,
    /// [`Error::ReadOnly`] without the right to write.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let (place, identity) = Place::open_or_create(folder.as_ref())?;
        Self::with(place, identity)
    }

    /// Opens the log in `folder` for reading: whatever would write is [`Error::ReadOnly`].
    ///
    /// In a folder that this user cannot write to, and where no process writes, the log is read as it was on opening:
    /// what another user's process commits later is not seen.
    ///
    /// # Errors
    /// [`Error::NoLog`] when there is none.
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self> {
        let (place, identity) = Place::open_read_only(folder.as_ref())?;
        Self::with(place, identity)
    }

    fn with(place: Place, identity: String) -> Result<Self> {
        let watcher = Mutex::new(place.connect(Role::Read)?);
        let writer = Writer::new(&place)?;
        let readers = Readers::new(place.clone());
        Ok(Self { shared: Arc::new(Shared { place, identity, writer, readers, watcher, topics: RwLock::default() }) })
    }
}

impl Log for EmbeddedLog {
    fn identity(&self, _topic: &str) -> Result<String> {
        Ok(self.shared.identity.clone())
    }

    fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32> {
        crate::log::check_topic(topic, partitions)?;
        if let Some(topic) = self.shared.find_topic(topic)? {
            return Ok(topic.partition_ids.len() as u32);
        }
        self.shared.create_topic(topic, partitions)?;
        Ok(self.shared.topic(topic)?.partition_ids.len() as u32)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.shared.readers.with(|reader| {
            let mut statement = reader.connection.prepare_cached(
                "SELECT name, first_offset, next_offset, bytes FROM topic JOIN partition ON topic_id = topic.id
                 ORDER BY name, number",
            )?;
            let mut topics: Vec<TopicInfo> = Vec::new();
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name = row.get_ref(0)?.as_str()?;
                if topics.last().is_none_or(|topic| topic.name != name) {
                    topics.push(TopicInfo { name: name.to_owned(), partitions: Vec::new() });
                }
                let bytes = Some(row.get::<_, i64>(3)?.unsigned_abs());
                let partition = PartitionInfo { first_offset: row.get(1)?, next_offset: row.get(2)?, bytes };
                topics.last_mut().expect("pushed above").partitions.push(partition);
            }
            Ok(topics)
        })
    }

    fn range(&self, topic: &str, partition: u32) -> Result<Range<i64>> {
        let id = self.shared.topic(topic)?.partition_id(partition)?;
        self.shared.readers.with(|reader| reader.range(id))
    }

    fn fetch(&self, topic: &str, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let topic = self.shared.topic(topic)?;
        self.shared.readers.fetch(&topic, partition, offset, max_bytes)
    }

    fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64> {
        let topic = self.shared.topic(topic)?;
        self.shared.readers.offset_at(&topic, partition, timestamp_ms)
    }

    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<i64>> {
        let id = self.shared.topic(topic)?.partition_id(partition)?;
        self.shared.readers.with(|reader| commit::stored_offset(&reader.connection, group, id))
    }

    fn join(&self, group: &str, topics: &[&str], target: Option<&str>) -> Result<Box<dyn Membership>> {
        let mut partitions = Vec::new();
        for name in topics {
            let count = self.shared.topic(name)?.partition_ids.len() as u32;
            partitions.extend((0..count).map(|partition| TopicPartition::new(name, partition)));
        }
        Ok(Box::new(EmbeddedMember::join(&self.shared.place, group, partitions, target)?))
    }

    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        Ok(Box::new(EmbeddedProducer::new(Arc::clone(&self.shared), transactional_id)?))
    }

    fn data_version(&self) -> Result<u64> {
        let watcher = lock(&self.shared.watcher);
        let version = watcher.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0));
        version.map(i64::unsigned_abs).map_err(|source| self.shared.place.error("read", source))
    }

    fn retain(&self, topic: &str, retention: &Retention) -> Result<Removed> {
        self.remove_old(topic, retention)
    }
}

impl Shared {
    /// The topic; an error when there is none.
    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        self.find_topic(name)?.ok_or_else(|| Error::UnknownTopic { topic: name.to_owned() })
    }

    fn find_topic(&self, name: &str) -> Result<Option<Arc<Topic>>> {
        if let Some(topic) = self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(Arc::clone(topic)));
        }
        let partition_ids: Vec<i64> = self.readers.with(|reader| {
            let mut statement = reader.connection.prepare_cached(
                "SELECT partition.id FROM topic JOIN partition ON topic_id = topic.id WHERE name = ?1 ORDER BY number",
            )?;
            let ids = statement.query_map([name], |row| row.get(0))?;
            ids.collect()
        })?;
        if partition_ids.is_empty() {
            return Ok(None);
        }
        let topic = Arc::new(Topic { name: name.to_owned(), partition_ids });
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.to_owned(), Arc::clone(&topic));
        Ok(Some(topic))
    }

    fn create_topic(&self, name: &str, partitions: u32) -> Result<()> {
        self.writer.with(&self.place, "make a topic in", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known =
                transaction.query_row("SELECT id FROM topic WHERE name = ?1", [name], |row| row.get::<_, i64>(0));
            if known.optional()?.is_none() {
                transaction.execute("INSERT INTO topic (name) VALUES (?1)", [name])?;
                let id = transaction.last_insert_rowid();
                for number in 0..partitions {
                    transaction.execute(
                        "INSERT INTO partition (topic_id, number, first_offset, next_offset, bytes)
                         VALUES (?1, ?2, 0, 0, 0)",
                        params![id, number],
                    )?;
                }
            }
            transaction.commit()
        })
    }
}

/// A mutex's content, also after a panic elsewhere: what these mutexes guard is put right before it is used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
