//! Where a Kafka is, how its clients are set up, and what its errors mean.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::context::{Context, Trouble};
use crate::{Error, Result};

const SCHEME: &str = "kafka://";
/// What is decided here: another value would break what the log promises.
const OURS: [&str; 13] = [
    "bootstrap.servers",
    "transactional.id",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "partition.assignment.strategy",
    "isolation.level",
    "enable.idempotence",
    "enable.auto.commit",
    "enable.partition.eof",
    "auto.offset.reset",
    "allow.auto.create.topics",
    "delivery.report.only.error",
];
/// Properties that name a file, or a folder of certificates.
const FILES: [&str; 4] = ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location"];
/// In place of a file: look where systems have them.
const PROBE: &str = "probe";
const CLIENT_ID: &str = "streamreel";
/// The largest record that a client sends unless `message.max.bytes` says otherwise; librdkafka's own default.
const MAX_RECORD_BYTES: usize = 1_000_000;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// One attempt of several takes no longer.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The first attempt to connect; each takes twice as long as the one before.
const FIRST_ATTEMPT: Duration = Duration::from_millis(250);

/// A wait of this length is told of.
const TOLD_AFTER: Duration = Duration::from_secs(5);
/// Once the program is to end, brokers that do not answer are waited for no longer.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How to reach a Kafka, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `kafka://HOST:PORT[,HOST:PORT]`: some of the brokers; they tell of the others.
    pub url: String,
    /// Properties of librdkafka, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
    /// How long brokers that do not answer are waited for.
    pub timeout: Duration,
    /// Set when the program is to end: brokers that do not answer then get ten seconds more. A call of the client that is under way is
    /// not broken off.
    pub stop: Arc<AtomicBool>,
}

impl KafkaSettings {
    /// Whether a place is written as one of a Kafka.
    pub fn is_url(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

/// The place as all parts of the log use it.
pub(super) struct Place {
    pub(super) servers: String,
    pub(super) limit: Duration,
    stop: Arc<AtomicBool>,
    properties: BTreeMap<String, String>,
    /// The last error that a client has logged: what a time-out alone does not tell.
    trouble: Arc<Mutex<Trouble>>,
}

impl Place {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self> {
        let wrong = |detail: String| Error::BadPlace { place: settings.url.clone(), detail };
        let servers = settings.url.strip_prefix(SCHEME).unwrap_or_default().trim_end_matches('/');
        for server in servers.split(',') {
            let port =
                server.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) {
                return Err(wrong(format!(
                    "{server:?} is no HOST:PORT; it is written as kafka://host1:9092,host2:9092"
                )));
            }
        }
        if let Some(name) = settings.properties.keys().find(|name| OURS.contains(&name.as_str())) {
            return Err(wrong(format!("the property {name} is not yours to set: what the log promises rests on it")));
        }
        for name in FILES {
            let Some(file) = settings.properties.get(name).filter(|file| *file != PROBE) else { continue };
            // The client's own words would not say which file.
            std::fs::metadata(file).map_err(|source| wrong(format!("can't read {file} (kafka.{name}): {source}")))?;
        }
        Ok(Self {
            servers: servers.to_owned(),
            limit: settings.timeout,
            stop: Arc::clone(&settings.stop),
            properties: settings.properties.clone(),
            trouble: Arc::default(),
        })
    }

    /// What every client is made with.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", CLIENT_ID)
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Error);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.servers);
        config
    }

    /// A client's own properties, and defaults that the user's may change.
    pub(super) fn config_of(&self, own: &[(&str, &str)], defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.config();
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in defaults {
            if config.get(name).is_none() {
                config.set(*name, *value);
            }
        }
        config
    }

    /// What a client calls itself.
    pub(super) fn client_id(&self) -> String {
        self.properties.get("client.id").map_or(CLIENT_ID, String::as_str).to_owned()
    }

    pub(super) fn context(&self) -> Context {
        Context::new(Arc::clone(&self.trouble))
    }

    /// The largest record that a client sends.
    pub(super) fn max_record_bytes(&self) -> usize {
        self.properties.get("message.max.bytes").and_then(|text| text.parse().ok()).unwrap_or(MAX_RECORD_BYTES)
    }

    /// A client could not be made: a property is wrong.
    pub(super) fn client_error(&self, source: KafkaError) -> Error {
        let detail = match source {
            // Not the value: it may be a password.
            KafkaError::ClientConfig(_, detail, name, _) => format!("{detail} (kafka.{name})"),
            other => other.to_string(),
        };
        Error::BadPlace { place: format!("{SCHEME}{}", self.servers), detail }
    }

    /// Asks again while the answer is one that passes, up to the limit. `ask` is given how long it may take.
    pub(super) fn patiently<T>(
        &self,
        operation: &'static str,
        ask: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T> {
        self.within(self.limit, operation, ask)
    }

    /// Asks for the first time. Brokers that do not let this client in are not waited for: a password or a certificate that is
    /// refused now is refused in a moment, too.
    pub(super) fn connect<T>(&self, limit: Duration, mut ask: impl FnMut(Duration) -> KafkaResult<T>) -> Result<T> {
        let mut attempt = FIRST_ATTEMPT;
        let connected = self.within(limit, "connect to", |left| {
            // What a client hears beside the answers it tells only between two attempts.
            let answer = ask(left.min(attempt));
            attempt *= 2;
            match (answer, self.trouble().refusal) {
                (Err(_), Some((code, _))) => Err(KafkaError::Global(code)),
                (answer, _) => answer,
            }
        });
        match (connected, self.trouble().refusal) {
            (Err(Error::Kafka { .. }), Some((code, detail))) => {
                Err(Error::NotLetIn { servers: self.servers.clone(), detail, advice: advice(code) })
            }
            (connected, _) => connected,
        }
    }

    /// As [`Place::patiently`], with another limit.
    pub(super) fn within<T>(
        &self,
        limit: Duration,
        operation: &'static str,
        mut ask: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T> {
        let wait = self.wait(operation, limit);
        loop {
            match ask(wait.left().clamp(PAUSE, ATTEMPT)) {
                Ok(answer) => return Ok(answer),
                Err(error) if !code(&error).is_some_and(passes) => return Err(self.error(operation, &error)),
                Err(error) if wait.left() <= PAUSE => return Err(wait.unreachable(&error.to_string())),
                Err(_) => {
                    wait.tell();
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Begins to wait for brokers.
    pub(super) fn wait(&self, operation: &'static str, limit: Duration) -> Wait<'_> {
        Wait {
            place: self,
            operation,
            limit,
            begun: Instant::now(),
            stopping_since: Cell::default(),
            is_told: Cell::default(),
        }
    }

    /// Nobody answered.
    pub(super) fn unreachable(&self, operation: &'static str, waited: Duration, detail: &str) -> Error {
        let trouble = self.trouble().last;
        Error::Unreachable {
            servers: self.servers.clone(),
            operation,
            waited_s: waited.as_secs(),
            detail: trouble.unwrap_or_else(|| detail.to_owned()),
        }
    }

    fn trouble(&self) -> Trouble {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kafka has refused.
    pub(super) fn error(&self, operation: &'static str, source: &KafkaError) -> Error {
        match code(source) {
            Some(code) if passes(code) => self.unreachable(operation, Duration::ZERO, &source.to_string()),
            _ => Error::Kafka { operation, servers: self.servers.clone(), detail: source.to_string() },
        }
    }
}

/// A wait for brokers that do not answer.
pub(super) struct Wait<'a> {
    place: &'a Place,
    operation: &'static str,
    limit: Duration,
    begun: Instant,
    /// When it was first seen that the program is to end.
    stopping_since: Cell<Option<Instant>>,
    is_told: Cell<bool>,
}

impl Wait<'_> {
    /// How much of the limit is left.
    pub(super) fn left(&self) -> Duration {
        if self.stopping_since.get().is_none() && self.place.stop.load(Ordering::Relaxed) {
            self.stopping_since.set(Some(Instant::now()));
        }
        let left = self.limit.saturating_sub(self.begun.elapsed());
        self.stopping_since.get().map_or(left, |since| left.min(STOP_LIMIT.saturating_sub(since.elapsed())))
    }

    /// Tells in the log, once, of a wait that has become long.
    pub(super) fn tell(&self) {
        let waited = self.begun.elapsed();
        if waited < TOLD_AFTER || self.is_told.replace(true) {
            return;
        }
        tracing::warn!(
            "cannot {} Kafka at {}: no answer for {} s; it is waited for up to {} s ({})",
            self.operation,
            self.place.servers,
            waited.as_secs(),
            self.limit.as_secs(),
            self.place.trouble().last.as_deref().unwrap_or("no complaint"),
        );
    }

    /// Nobody answered.
    pub(super) fn unreachable(&self, detail: &str) -> Error {
        self.place.unreachable(self.operation, self.begun.elapsed(), detail)
    }
}

/// What to look at when this is why a client is not let in.
fn advice(code: Code) -> &'static str {
    match code {
        Code::Authentication => {
            "kafka.sasl.mechanism, kafka.sasl.username and the password (STREAMREEL_KAFKA_SASL_PASSWORD), and that the brokers know this user"
        }
        _ => {
            "that kafka.ssl.ca.location names the certificate of the authority that has signed the brokers', that the address is one \
             that theirs are made out to, and kafka.ssl.certificate.location if they want one of yours"
        }
    }
}

/// The code in an error.
pub(super) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        // The client's library finds none in this one.
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether the same call may succeed a little later.
pub(super) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::WaitingForCoordinator
            | Code::TimedOutQueue
            | Code::Retry
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotController
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::ConcurrentTransactions
            | Code::UnstableOffsetCommit
            | Code::KafkaStorageError
            | Code::OffsetNotAvailable
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::RebalanceInProgress
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, properties: &[(&str, &str)]) -> KafkaSettings {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let timeout = Duration::from_millis(300);
        KafkaSettings { url: url.to_owned(), properties, timeout, stop: Arc::default() }
    }

    #[test]
    fn places() {
        let cases = [
            ("kafka://localhost:9092", Some("localhost:9092")),
            ("kafka://a:1,b:2/", Some("a:1,b:2")),
            ("kafka://[::1]:9092", Some("[::1]:9092")),
            ("kafka://", None),
            ("kafka://host", None),
            ("kafka://host:0", None),
            ("kafka://:9092", None),
            ("kafka://a:1,", None),
            ("kafka://a:1,b", None),
        ];
        for (url, servers) in cases {
            let place = Place::new(&settings(url, &[]));
            assert_eq!(place.ok().map(|place| place.servers).as_deref(), servers, "{url}");
        }
    }

    #[test]
    fn properties_that_promises_rest_on_are_refused() {
        let error = Place::new(&settings("kafka://a:1", &[("enable.idempotence", "false")])).err().unwrap();
        assert!(error.to_string().contains("enable.idempotence"), "{error}");
        let place = Place::new(&settings("kafka://a:1", &[("message.max.bytes", "5000000")])).unwrap();
        assert_eq!(place.max_record_bytes(), 5_000_000);
    }

    #[test]
    fn what_passes_is_asked_again_however_the_client_says_it() {
        let place = Place::new(&settings("kafka://a:1", &[])).unwrap();
        let busy = [KafkaError::AdminOp(Code::OperationTimedOut), KafkaError::MetadataFetch(Code::AllBrokersDown)];
        for error in busy {
            let mut answers = [Ok(7), Err(error)].into_iter().rev();
            assert_eq!(place.patiently("try", |_| answers.next().unwrap()).unwrap(), 7);
        }
        let refused = place.patiently("try", |_| Err::<(), _>(KafkaError::AdminOp(Code::UnsupportedVersion)));
        assert!(matches!(refused, Err(Error::Kafka { .. })), "{refused:?}");
    }

    #[test]
    fn a_stop_shortens_a_wait() {
        let stop = Arc::new(AtomicBool::new(false));
        let settings = KafkaSettings { stop: Arc::clone(&stop), ..settings("kafka://a:1", &[]) };
        let place = Place::new(&settings).unwrap();
        let (short, long) = (place.wait("try", STOP_LIMIT / 10), place.wait("try", STOP_LIMIT * 10));
        assert!(short.left() <= STOP_LIMIT / 10 && long.left() > STOP_LIMIT * 9);
        stop.store(true, Ordering::Relaxed);
        assert!(short.left() <= STOP_LIMIT / 10);
        let left = long.left();
        assert!(left <= STOP_LIMIT && left > STOP_LIMIT / 2, "{left:?}");
    }
}
