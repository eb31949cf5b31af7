//! The queue of a consumer, as librdkafka has it: its Rust wrapper does not tell at which offset a partition has ended, and that is
//! how a reader gets past transaction markers; and it gives messages one by one.

#![allow(unsafe_code, reason = "the C interface is the only one that gives the offset of an end")]

use std::collections::VecDeque;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings::{
    RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_FETCH, rd_kafka_consume_batch_queue, rd_kafka_event_destroy,
    rd_kafka_event_error, rd_kafka_event_error_is_fatal, rd_kafka_event_error_string, rd_kafka_event_message_next,
    rd_kafka_event_topic_partition, rd_kafka_event_type, rd_kafka_header_get_all, rd_kafka_headers_t,
    rd_kafka_message_destroy, rd_kafka_message_errstr, rd_kafka_message_headers, rd_kafka_message_t,
    rd_kafka_message_timestamp, rd_kafka_queue_destroy, rd_kafka_queue_get_consumer, rd_kafka_queue_poll,
    rd_kafka_timestamp_type_t, rd_kafka_topic_partition_destroy,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::{RDKafkaEvent, RDKafkaQueue, RDKafkaRespErr};

use super::context::Context;

/// Headers of a record beyond so many are not taken: they would make a batch slow to search.
const MOST_HEADERS: usize = 1_000;
/// Messages that are taken out of the queue together.
const TOGETHER: usize = 256;

/// The queue into which a consumer's messages come.
pub(super) struct Queue {
    queue: NonNull<RDKafkaQueue>,
    /// What was taken out of it and not yet shown.
    taken: VecDeque<Taken>,
}

// SAFETY: librdkafka's objects may be used from any thread; this one is used by one at a time (`&mut self`).
unsafe impl Send for Queue {}

/// What comes out of the queue.
pub(super) enum Event<'a> {
    Message(Message<'a>),
    /// All committed records below this offset have been given.
    End(i64),
    Error {
        code: Code,
        is_fatal: bool,
        text: String,
    },
    /// Of no interest to a reader.
    Other,
}

impl Queue {
    /// `None`: the consumer has none, being without a group.
    pub(super) fn of(consumer: &BaseConsumer<Context>) -> Option<Self> {
        // SAFETY: the client lives; the queue counts its references by itself.
        let queue = unsafe { rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        NonNull::new(queue).map(|queue| Self { queue, taken: VecDeque::new() })
    }

    /// Whether there is something to show without waiting. Takes what has come out of the queue where nothing is left of the last time.
    pub(super) fn has_more(&mut self) -> bool {
        if self.taken.is_empty() {
            self.take();
        }
        !self.taken.is_empty()
    }

    /// Waits for an event and shows it; `None` if there was none.
    pub(super) fn next<T>(&mut self, timeout: Duration, look: impl FnOnce(Event<'_>) -> T) -> Option<T> {
        if let Some(taken) = self.taken.pop_front() {
            return Some(look(taken.read()));
        }
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive as long as `self`.
        let event = unsafe { rd_kafka_queue_poll(self.queue.as_ptr(), timeout_ms) };
        let event = Owned(NonNull::new(event)?);
        Some(look(event.read()))
    }

    /// Takes what has come out of the queue, together: one by one costs more than what is in a message.
    fn take(&mut self) {
        let mut messages = [std::ptr::null_mut(); TOGETHER];
        // SAFETY: the queue is alive, and the array has room for so many.
        let count = unsafe { rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, messages.as_mut_ptr(), TOGETHER) };
        let count = usize::try_from(count).unwrap_or(0);
        self.taken.extend(messages[..count].iter().copied().filter_map(NonNull::new).map(Taken));
    }

    /// Forgets what has come so far, before a change of place.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.taken.clear();
        // SAFETY: got in `of`, and not used afterwards.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// A message that was taken out of the queue.
struct Taken(NonNull<rd_kafka_message_t>);

impl Taken {
    fn read(&self) -> Event<'_> {
        // SAFETY: the message is alive.
        let message = unsafe { self.0.as_ref() };
        match message.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {
                Event::Message(Message { message: self.0, owner: PhantomData })
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Event::End(message.offset),
            error => {
                // SAFETY: the message is alive, and the text is its own.
                let text = unsafe { text(rd_kafka_message_errstr(self.0.as_ptr())) };
                Event::Error { code: error.into(), is_fatal: false, text }
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: got from the queue and not used afterwards.
        unsafe { rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// An event, freed with what is in it.
struct Owned(NonNull<RDKafkaEvent>);

impl Owned {
    fn read(&self) -> Event<'_> {
        let event = self.0.as_ptr();
        // SAFETY: the event is alive, and what is asked of it fits its type.
        unsafe {
            match rd_kafka_event_type(event) {
                RD_KAFKA_EVENT_FETCH => match NonNull::new(rd_kafka_event_message_next(event).cast_mut()) {
                    Some(message) => Event::Message(Message { message, owner: PhantomData }),
                    None => Event::Other,
                },
                RD_KAFKA_EVENT_ERROR => self.error(),
                _ => Event::Other,
            }
        }
    }

    /// # Safety
    /// The event is one of an error.
    unsafe fn error(&self) -> Event<'_> {
        let event = self.0.as_ptr();
        // SAFETY: as promised by the caller; the partition is freed here, the text is the event's.
        unsafe {
            let code = rd_kafka_event_error(event);
            if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF {
                let partition = rd_kafka_event_topic_partition(event);
                if partition.is_null() {
                    return Event::Other;
                }
                let offset = (*partition).offset;
                rd_kafka_topic_partition_destroy(partition);
                return Event::End(offset);
            }
            let is_fatal = rd_kafka_event_error_is_fatal(event) != 0;
            Event::Error { code: code.into(), is_fatal, text: text(rd_kafka_event_error_string(event)) }
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: got from the queue and not used afterwards.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// # Safety
/// Null, or text that ends with a zero.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A message, alive as long as what it came with.
pub(super) struct Message<'a> {
    message: NonNull<rd_kafka_message_t>,
    owner: PhantomData<&'a ()>,
}

impl<'a> Message<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: alive for 'a.
        unsafe { self.message.as_ref() }
    }

    pub(super) fn offset(&self) -> i64 {
        self.message().offset
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: librdkafka's key and its length.
        unsafe { bytes(message.key, message.key_len) }
    }

    /// Null is nothing.
    pub(super) fn value(&self) -> &'a [u8] {
        let message = self.message();
        // SAFETY: librdkafka's value and its length.
        unsafe { bytes(message.payload, message.len) }.unwrap_or_default()
    }

    /// Milliseconds; 0 where the message has none.
    pub(super) fn timestamp_ms(&self) -> i64 {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let timestamp = unsafe { rd_kafka_message_timestamp(self.message.as_ptr(), &mut kind) };
        timestamp.max(0)
    }

    /// Appends names and values to `headers`; a null value is an empty one.
    pub(super) fn headers(&self, headers: &mut Vec<(&'a str, &'a [u8])>) {
        let mut list: *mut rd_kafka_headers_t = std::ptr::null_mut();
        // SAFETY: the message is alive, and the list belongs to it.
        let has = unsafe { rd_kafka_message_headers(self.message.as_ptr(), &mut list) };
        if has != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for index in 0..MOST_HEADERS {
            let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the list is the message's; name and value live as long.
            let (name, value) = unsafe {
                let got = rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut len);
                if got != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
                    break;
                }
                (CStr::from_ptr(name), bytes(value, len))
            };
            // A name that is no UTF-8 is nobody's that reads here.
            headers.push((name.to_str().unwrap_or("?"), value.unwrap_or_default()));
        }
    }
}

/// # Safety
/// Null, or so many bytes that live for 'a.
unsafe fn bytes<'a>(pointer: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as promised by the caller.
    (!pointer.is_null()).then(|| unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}
