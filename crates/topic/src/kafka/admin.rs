//! Making topics, telling them apart, and removing old records.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::ask::Partition;
use super::context::Context;
use super::place::Place;
use crate::Result;

/// Copies of a record, where there are as many brokers.
const REPLICAS: usize = 3;
/// Settings of a topic that is made here. Record timestamps are those of arrival and are kept as they are; nothing is
/// removed by age or size but what `retain` removes, which knows what is still needed.
const SETTINGS: [(&str, &str); 5] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("message.timestamp.type", "CreateTime"),
    ("compression.type", "producer"),
];
/// Known to brokers since 3.6: a record may come from a clock that is ahead, as a simulated one.
const NEWER_SETTINGS: [(&str, &str); 1] = [("message.timestamp.after.max.ms", "9223372036854775807")];

/// A client that changes things.
pub(super) struct Admin(AdminClient<Context>);

impl Admin {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let client = place.config().create_with_context(place.context());
        client.map(Self).map_err(|source| place.client_error(source))
    }

    /// Makes a topic; that it is there already is fine.
    pub(super) fn create(&self, topic: &str, partitions: u32, brokers: usize, limit: Duration) -> KafkaResult<()> {
        match self.create_with(topic, partitions, brokers, true, limit) {
            Err(KafkaError::AdminOp(Code::InvalidConfig)) => self.create_with(topic, partitions, brokers, false, limit),
            made => made,
        }
    }

    fn create_with(
        &self,
        topic: &str,
        partitions: u32,
        brokers: usize,
        is_new: bool,
        limit: Duration,
    ) -> KafkaResult<()> {
        let replicas = REPLICAS.min(brokers).max(1);
        let mut new = NewTopic::new(topic, partitions as i32, TopicReplication::Fixed(replicas as i32));
        for (name, value) in SETTINGS.into_iter().chain(NEWER_SETTINGS.into_iter().filter(|_| is_new)) {
            new = new.set(name, value);
        }
        if replicas == REPLICAS {
            new = new.set("min.insync.replicas", "2");
        }
        for made in block_on(self.0.create_topics([&new], &options(limit)))? {
            match made {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// Removes the records of partitions below an offset of each.
    pub(super) fn remove_below(&self, firsts: &[(Partition<'_>, i64)], limit: Duration) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(firsts.len());
        for ((topic, partition), first) in firsts {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*first))?;
        }
        let answer = block_on(self.0.delete_records(&list, &options(limit)))?;
        answer.elements().iter().try_for_each(|element| element.error())
    }

    /// The id of a topic: another one after it was deleted and made anew.
    pub(super) fn topic_id(&self, topic: &str, limit: Duration) -> KafkaResult<String> {
        topic_id::of(self.0.inner(), topic, limit)
    }
}

fn options(limit: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(limit)).operation_timeout(Some(limit))
}

/// Asking for a topic's id, which the Rust wrapper has no call for.
#[allow(unsafe_code, reason = "there is no other way to ask for the id of a topic")]
mod topic_id {
    use std::ffi::{CStr, CString};
    use std::time::Duration;

    use rdkafka::bindings::{
        rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
        rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_topic_id,
        rd_kafka_Uuid_base64str, rd_kafka_error_code, rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy,
        rd_kafka_event_error, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
    };
    use rdkafka::client::Client;
    use rdkafka::error::{IsError, KafkaError, KafkaResult, RDKafkaErrorCode as Code};
    use rdkafka::types::RDKafkaEvent;

    use super::Context;

    /// How the id of no topic begins.
    const NONE: &str = "AAAAAAAAAAAAAAAAAAAAA";

    pub(super) fn of(client: &Client<Context>, topic: &str, limit: Duration) -> KafkaResult<String> {
        let limit_ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
        let name = CString::new(topic)?;
        let mut names = [name.as_ptr()];
        // SAFETY: the client lives through the call; queue, collection and event are freed in it, each once, and
        // after the last use of what they hold.
        unsafe {
            let queue = rd_kafka_queue_new(client.native_ptr());
            let topics = rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            rd_kafka_DescribeTopics(client.native_ptr(), topics, std::ptr::null(), queue);
            rd_kafka_TopicCollection_destroy(topics);
            let event = rd_kafka_queue_poll(queue, limit_ms);
            let id = if event.is_null() {
                Err(KafkaError::AdminOp(Code::OperationTimedOut))
            } else {
                let id = read(event);
                rd_kafka_event_destroy(event);
                id
            };
            rd_kafka_queue_destroy(queue);
            id
        }
    }

    /// # Safety
    /// The event is a live one that answers a question for one topic.
    unsafe fn read(event: *mut RDKafkaEvent) -> KafkaResult<String> {
        // SAFETY: as promised by the caller; what is read belongs to the event.
        unsafe {
            let error = rd_kafka_event_error(event);
            if error.is_error() {
                return Err(KafkaError::AdminOp(error.into()));
            }
            let mut count = 0;
            let result = rd_kafka_event_DescribeTopics_result(event);
            let topics = rd_kafka_DescribeTopics_result_topics(result, &mut count);
            if count == 0 {
                return Err(KafkaError::AdminOp(Code::UnknownTopicOrPartition));
            }
            let topic = *topics;
            let error = rd_kafka_TopicDescription_error(topic);
            if !error.is_null() && rd_kafka_error_code(error).is_error() {
                return Err(KafkaError::AdminOp(rd_kafka_error_code(error).into()));
            }
            let id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(topic));
            let id = CStr::from_ptr(id).to_string_lossy().into_owned();
            if id.starts_with(NONE) {
                // Brokers before 2.8 give topics none.
                return Err(KafkaError::AdminOp(Code::UnsupportedVersion));
            }
            Ok(id)
        }
    }
}
