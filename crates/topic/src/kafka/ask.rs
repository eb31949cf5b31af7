//! Questions to the brokers: what topics there are, where partitions begin and end, how far groups are.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use super::place::Place;
use crate::Result;

/// After so many polls that gave nothing a client has said all.
const IDLE_POLLS: usize = 16;

/// A partition by name and number.
pub(super) type Partition<'a> = (&'a str, u32);

/// Which records, and which offsets of groups, count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Isolation {
    /// The committed ones. Offsets of a group that a transaction is about to change are waited for.
    Committed,
    /// All, also those of open transactions. Offsets of a group are those before the open transaction.
    Open,
}

/// A client that only asks.
pub(super) struct Asker {
    consumer: BaseConsumer<Context>,
}

impl Asker {
    pub(super) fn new(place: &Place, group: Option<&str>, isolation: Isolation) -> Result<Self> {
        let mut config = place.config();
        config.set("enable.auto.commit", "false");
        config.set(
            "isolation.level",
            match isolation {
                Isolation::Committed => "read_committed",
                Isolation::Open => "read_uncommitted",
            },
        );
        if let Some(group) = group {
            config.set("group.id", group);
        }
        let consumer = config.create_with_context(place.context()).map_err(|source| place.client_error(source))?;
        Ok(Self { consumer })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// Runs a question; then lets the client say what it has logged meanwhile.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&BaseConsumer<Context>) -> KafkaResult<T>) -> KafkaResult<T> {
        let answer = question(&self.consumer);
        // A poll that has taken down a line of the log gives nothing, either.
        let mut without = 0;
        while without < IDLE_POLLS {
            without = if self.consumer.poll(Duration::ZERO).is_some() { 0 } else { without + 1 };
        }
        answer
    }

    /// The identity of the cluster.
    pub(super) fn cluster(&self, limit: Duration) -> KafkaResult<String> {
        self.ask(|consumer| {
            // Only a broker that answers tells it; this one says why none does.
            consumer.client().fetch_metadata(None, limit)?;
            consumer.client().fetch_cluster_id(limit).ok_or(KafkaError::MetadataFetch(Code::OperationTimedOut))
        })
    }

    /// How many brokers there are.
    pub(super) fn brokers(&self, limit: Duration) -> KafkaResult<usize> {
        self.ask(|consumer| Ok(consumer.client().fetch_metadata(None, limit)?.brokers().len()))
    }

    /// How many partitions a topic has; `None` when there is no such topic.
    pub(super) fn partitions(&self, topic: &str, limit: Duration) -> KafkaResult<Option<u32>> {
        self.ask(|consumer| {
            let metadata = consumer.client().fetch_metadata(Some(topic), limit)?;
            let Some(topic) = metadata.topics().first() else { return Ok(None) };
            match topic.error().map(Code::from) {
                None if topic.partitions().is_empty() => Ok(None),
                None => Ok(Some(topic.partitions().len() as u32)),
                Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => Ok(None),
                Some(code) => Err(KafkaError::MetadataFetch(code)),
            }
        })
    }

    /// All topics but Kafka's own, with how many partitions they have, by name.
    pub(super) fn topics(&self, limit: Duration) -> KafkaResult<Vec<(String, u32)>> {
        self.ask(|consumer| {
            let metadata = consumer.client().fetch_metadata(None, limit)?;
            let all = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
            let mut topics: Vec<_> =
                all.map(|topic| (topic.name().to_owned(), topic.partitions().len() as u32)).collect();
            topics.sort();
            Ok(topics)
        })
    }

    /// The members of a group: client id, and where it is.
    pub(super) fn members(&self, group: &str, limit: Duration) -> KafkaResult<Vec<(String, String)>> {
        self.ask(|consumer| {
            let list = consumer.client().fetch_group_list(Some(group), limit)?;
            let members = list.groups().iter().flat_map(|group| group.members());
            Ok(members.map(|member| (member.client_id().to_owned(), member.client_host().to_owned())).collect())
        })
    }

    /// The offsets of these partitions at a timestamp, or at [`Offset::Beginning`] or [`Offset::End`]. `None`: all
    /// records are older.
    pub(super) fn offsets(
        &self,
        partitions: &[Partition<'_>],
        at: Offset,
        limit: Duration,
    ) -> KafkaResult<Vec<Option<i64>>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition_offset(topic, *partition as i32, at)?;
        }
        let answer = self.ask(|consumer| consumer.offsets_for_times(list, limit))?;
        collect(&answer, partitions)
    }

    /// Where the group of this client stands.
    pub(super) fn committed(&self, partitions: &[Partition<'_>], limit: Duration) -> KafkaResult<Vec<Option<i64>>> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            list.add_partition(topic, *partition as i32);
        }
        let answer = self.ask(|consumer| consumer.committed_offsets(list, limit))?;
        collect(&answer, partitions)
    }
}

/// The offsets of an answer in the order of the question.
fn collect(answer: &TopicPartitionList, partitions: &[Partition<'_>]) -> KafkaResult<Vec<Option<i64>>> {
    let each = partitions.iter().map(|(topic, partition)| {
        let element = answer.find_partition(topic, *partition as i32);
        let element = element.ok_or(KafkaError::OffsetFetch(Code::UnknownPartition))?;
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    });
    each.collect()
}
