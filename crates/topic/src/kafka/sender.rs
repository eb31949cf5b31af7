//! A producer's client, given its records as librdkafka takes them: its Rust wrapper looks the topic up and copies its name, and that
//! of each header, for every record, and what it waits with spins.

#![allow(
    unsafe_code,
    reason = "the C interface takes a record without looking its topic up and copying the names of its headers"
)]

use std::ffi::CString;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_MSG_F_COPY, rd_kafka_flush, rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new,
    rd_kafka_headers_t, rd_kafka_producev, rd_kafka_topic_destroy, rd_kafka_topic_new, rd_kafka_vtype_t as Field,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::types::{RDKafkaRespErr, RDKafkaTopic};

use crate::Records;

/// What the user's properties may change. Records linger for fuller batches, as nobody can read them before the commit, which waits
/// for none.
pub(super) const DEFAULTS: [(&str, &str); 4] = [
    ("compression.type", "lz4"),
    ("linger.ms", "200"),
    ("queue.buffering.max.messages", "500000"),
    ("queue.buffering.max.kbytes", "131072"),
];

/// A client with the topics that it has sent to.
pub(super) struct Sender<C: ProducerContext + 'static> {
    /// They go before the client does.
    topics: Vec<Topic>,
    client: BaseProducer<C>,
}

impl<C: ProducerContext + 'static> Sender<C> {
    pub(super) fn new(client: BaseProducer<C>) -> Self {
        Self { topics: Vec::new(), client }
    }

    pub(super) fn client(&self) -> &BaseProducer<C> {
        &self.client
    }

    /// Gives the client the records from `next` on, which rises with each that it has taken; it takes copies.
    ///
    /// # Errors
    /// `QueueFull` when there is no room for the next one now.
    pub(super) fn send(&mut self, topic: &str, partition: u32, records: &Records, next: &mut usize) -> KafkaResult<()> {
        let topic = self.topic(topic)?.handle.as_ptr();
        let client = self.client.client().native_ptr();
        while *next < records.len() {
            let (key, value) = (records.key(*next), records.value(*next));
            let (key_start, key_len) = key.map_or((std::ptr::null(), 0), |key| (key.as_ptr(), key.len()));
            // The client takes 0 for now, and brokers refuse what lies before 1970.
            let timestamp_ms = records.timestamp_ms(*next).max(1);
            let headers = Headers::of(records, *next)?;
            // SAFETY: client, topic and headers are alive, and each kind of field is followed by what it announces; key and value are
            // copied.
            let error = unsafe {
                rd_kafka_producev(
                    client,
                    Field::RD_KAFKA_VTYPE_RKT,
                    topic,
                    Field::RD_KAFKA_VTYPE_PARTITION,
                    partition.cast_signed(),
                    Field::RD_KAFKA_VTYPE_MSGFLAGS,
                    RD_KAFKA_MSG_F_COPY,
                    Field::RD_KAFKA_VTYPE_VALUE,
                    value.as_ptr().cast::<c_void>(),
                    value.len(),
                    Field::RD_KAFKA_VTYPE_KEY,
                    key_start.cast::<c_void>(),
                    key_len,
                    Field::RD_KAFKA_VTYPE_TIMESTAMP,
                    timestamp_ms,
                    Field::RD_KAFKA_VTYPE_HEADERS,
                    headers.as_ref().map_or(std::ptr::null_mut(), |headers| headers.list.as_ptr()),
                    Field::RD_KAFKA_VTYPE_END,
                )
            };
            if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(KafkaError::MessageProduction(error.into()));
            }
            // They belong to the record now.
            std::mem::forget(headers);
            *next += 1;
        }
        Ok(())
    }

    /// Waits until the brokers have answered for every record, without lingering for more of them. False: some are still on their way.
    ///
    /// Those that fail count until they are seen by [`BaseProducer::poll`].
    pub(super) fn flush(&self, timeout: Duration) -> bool {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive.
        let left = unsafe { rd_kafka_flush(self.client.client().native_ptr(), timeout_ms) };
        left == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
    }

    fn topic(&mut self, name: &str) -> KafkaResult<&Topic> {
        let known = self.topics.iter().position(|topic| topic.name == name);
        let place = match known {
            Some(place) => place,
            None => {
                self.topics.push(Topic::new(&self.client, name)?);
                self.topics.len() - 1
            }
        };
        Ok(&self.topics[place])
    }
}

/// A topic of a client, which must outlive it.
struct Topic {
    name: String,
    handle: NonNull<RDKafkaTopic>,
}

// SAFETY: librdkafka's objects may be used from any thread.
unsafe impl Send for Topic {}

impl Topic {
    fn new<C: ProducerContext>(client: &BaseProducer<C>, name: &str) -> KafkaResult<Self> {
        let unknown = || KafkaError::MessageProduction(Code::UnknownTopic);
        let c_name = CString::new(name).map_err(|_| unknown())?;
        // SAFETY: the client is alive; without settings of its own the topic has the client's.
        let handle = unsafe { rd_kafka_topic_new(client.client().native_ptr(), c_name.as_ptr(), std::ptr::null_mut()) };
        Ok(Self { name: name.to_owned(), handle: NonNull::new(handle).ok_or_else(unknown)? })
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: got in `new`, and not used afterwards; what is still to be sent has a reference of its own.
        unsafe { rd_kafka_topic_destroy(self.handle.as_ptr()) }
    }
}

/// The headers of a record, until the client has taken it.
struct Headers {
    list: NonNull<rd_kafka_headers_t>,
}

impl Headers {
    fn of(records: &Records, i: usize) -> KafkaResult<Option<Self>> {
        let headers = records.headers(i);
        if headers.len() == 0 {
            return Ok(None);
        }
        let full = || KafkaError::MessageProduction(Code::QueueFull);
        // SAFETY: no more than a call.
        let list = NonNull::new(unsafe { rd_kafka_headers_new(headers.len()) }).ok_or_else(full)?;
        let list = Self { list };
        for (name, value) in headers {
            let (name_len, value_len) = (name.len().cast_signed(), value.len().cast_signed());
            // SAFETY: the list is alive, and copies name and value, which are as long as is said.
            let added = unsafe {
                let (name, value) = (name.as_ptr().cast(), value.as_ptr().cast());
                rd_kafka_header_add(list.list.as_ptr(), name, name_len, value, value_len)
            };
            if added != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(KafkaError::MessageProduction(added.into()));
            }
        }
        Ok(Some(list))
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        // SAFETY: made in `of`, and nobody else's, or it would have been forgotten.
        unsafe { rd_kafka_headers_destroy(self.list.as_ptr()) }
    }
}
