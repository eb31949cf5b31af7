//! What librdkafka tells beside its answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

/// What the clients of a log have complained about.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// The last complaint.
    pub(super) last: Option<String>,
    /// Why the last broker that did not let a client in has not: the kind, and its words.
    pub(super) refusal: Option<(Code, String)>,
}

/// Keeps the last complaint of any client of a log, and the first failed delivery of this one.
pub(super) struct Context {
    trouble: Arc<Mutex<Trouble>>,
    undelivered: Mutex<Option<KafkaError>>,
}

impl Context {
    pub(super) fn new(trouble: Arc<Mutex<Trouble>>) -> Self {
        Self { trouble, undelivered: Mutex::default() }
    }

    /// Takes the first failed delivery since the last call.
    pub(super) fn take_undelivered(&self) -> Option<KafkaError> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn complain(&self, text: &str) {
        self.trouble().last = Some(text.trim().to_owned());
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, text: &str) {
        if (level as i32) <= RDKafkaLogLevel::Error as i32 {
            // `[thrd:host:9092/bootstrap]: host:9092/bootstrap: Connect to ... failed: ...`
            self.complain(text.rsplit_once("]: ").map_or(text, |(_, text)| text));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.complain(reason);
        if let Some(code @ (Code::Authentication | Code::SSL)) = error.rdkafka_error_code() {
            self.trouble().refusal = Some((code, reason.trim().to_owned()));
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}
