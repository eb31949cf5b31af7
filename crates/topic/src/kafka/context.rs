//! What librdkafka tells beside its answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

/// OpenSSL's words.
const BAD_CERTIFICATE: &str = "certificate verify failed";

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
        // That all brokers are down only sums up what was said about each.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) || self.trouble().last.is_none() {
            self.complain(reason);
        }
        let code = match error.rdkafka_error_code() {
            // librdkafka calls it a lost connection when the certificate is there at the first look at the handshake.
            Some(Code::BrokerTransportFailure) if reason.contains(BAD_CERTIFICATE) => Code::SSL,
            Some(code @ (Code::Authentication | Code::SSL)) => code,
            _ => return,
        };
        self.trouble().refusal = Some((code, reason.trim().to_owned()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_let_in_is_told_from_who_is_cut_off() {
        let refused = |code: Code, reason: &str| {
            let trouble = Arc::default();
            Context::new(Arc::clone(&trouble)).error(KafkaError::Global(code), reason);
            let trouble = trouble.lock().unwrap();
            assert_eq!(trouble.last.as_deref(), Some(reason));
            trouble.refusal.as_ref().map(|(code, _)| *code)
        };
        let cases = [
            (
                Code::Authentication,
                "SASL authentication error: Invalid username or password",
                Some(Code::Authentication),
            ),
            (Code::SSL, "SSL handshake failed: unexpected message", Some(Code::SSL)),
            (Code::BrokerTransportFailure, "error:0A000086:SSL routines::certificate verify failed", Some(Code::SSL)),
            (Code::BrokerTransportFailure, "Connect to ipv4#127.0.0.1:1 failed: Connection refused", None),
            (Code::AllBrokersDown, "1/1 brokers are down", None),
        ];
        for (code, reason, expected) in cases {
            assert_eq!(refused(code, reason), expected, "{reason}");
        }
    }
}
