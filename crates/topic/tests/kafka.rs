//! A real Kafka, held to what every log promises, and to what it alone does. `cargo xtask kafka` starts one and runs this;
//! without one each of these tests fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use streamreel_topic::{Error, KafkaLog, KafkaSettings, Log, RecordsBuilder, partition_for};
use suite::{ALL, Gear, Place};

/// Names of its own for each test: they share a broker.
struct Kafka {
    prefix: String,
}

impl Kafka {
    fn new() -> Self {
        Self { prefix: uuid::Uuid::new_v4().to_string() }
    }
}

fn broker() -> String {
    let broker = std::env::var("STREAMREEL_TEST_KAFKA");
    broker.expect("STREAMREEL_TEST_KAFKA=HOST:PORT names a broker; `cargo xtask kafka` starts one")
}

fn settings(servers: &str) -> KafkaSettings {
    let url = format!("kafka://{servers}");
    KafkaSettings { url, properties: BTreeMap::new(), timeout: Duration::from_secs(30), stop: Arc::default() }
}

impl Gear for Kafka {
    fn open(&self) -> Box<dyn Log> {
        Box::new(KafkaLog::open(&settings(&broker())).unwrap())
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn is_gapless(&self) -> bool {
        false
    }
}

suite!(Kafka::new());

/// Somebody else's producer.
fn foreign(properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker());
    for (name, value) in properties {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

#[test]
fn records_of_any_producer_are_read() {
    let place = Place::new(Kafka::new());
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = foreign(&[("compression.type", codec), ("linger.ms", "50")]);
        for i in 0..1_000 {
            let value = format!("{codec} {i}");
            let headers = OwnedHeaders::new()
                .insert(Header { key: "null", value: None::<&[u8]> })
                .insert(Header { key: "binary", value: Some(&[0_u8, 255][..]) });
            let mut record =
                BaseRecord::<[u8], [u8]>::to(&place.topic).partition(0).headers(headers).timestamp(i64::from(i) + 5);
            if i % 2 == 0 {
                record = record.payload(value.as_bytes()).key(value.as_bytes());
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
    }
    let end = place.log.range(&place.topic, 0).unwrap().end;
    let (mut at, mut number) = (0, 0);
    while at < end {
        let fetched = place.log.fetch(&place.topic, 0, at, ALL).unwrap();
        for i in 0..fetched.records.len() {
            let records = &fetched.records;
            let is_full = number % 2 == 0;
            assert_eq!(records.value(i).is_empty(), !is_full);
            assert_eq!(records.key(i).is_some(), is_full);
            assert_eq!((records.header(i, "null"), records.header(i, "binary")), (Some(&b""[..]), Some(&[0, 255][..])));
            assert_eq!(records.timestamp_ms(i), number % 1_000 + 5);
            number += 1;
        }
        at = fetched.next_offset;
    }
    assert_eq!(number, end);
}

#[test]
fn keys_go_where_the_java_client_puts_them() {
    let place = Place::new(Kafka::new());
    let producer = foreign(&[("partitioner", "murmur2_random")]);
    for i in 0..400 {
        let key = format!("user-{i}");
        let record = BaseRecord::<[u8], [u8]>::to(&place.topic).key(key.as_bytes()).payload(key.as_bytes());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    let mut seen = 0;
    for partition in 0..4 {
        let range = place.log.range(&place.topic, partition).unwrap();
        let mut at = range.start;
        while at < range.end {
            let fetched = place.log.fetch(&place.topic, partition, at, ALL).unwrap();
            for i in 0..fetched.records.len() {
                assert_eq!(partition_for(fetched.records.key(i).unwrap(), 4), partition);
                seen += 1;
            }
            at = fetched.next_offset;
        }
    }
    assert_eq!(seen, 400);
}

#[test]
fn a_topic_that_is_made_anew_has_another_identity() {
    let place = Place::new(Kafka::new());
    let other = place.gear.name("other");
    place.log.ensure_topic(&other, 1).unwrap();
    let [one, two] = [&place.topic, &other].map(|topic| place.log.identity(topic).unwrap());
    assert_ne!(one, two);
    assert_eq!(one.split_once('.').unwrap().0, two.split_once('.').unwrap().0, "the cluster is the same");
}

#[test]
fn a_transaction_that_the_broker_gave_up_is_not_stored() {
    let place = Place::new(Kafka::new());
    let mut quick = settings(&broker());
    // So short that the pause below is longer.
    quick.properties.insert("transaction.timeout.ms".into(), "1000".into());
    let log = KafkaLog::open(&quick).unwrap();
    let mut producer = log.producer(&place.gear.name("p")).unwrap();
    let mut builder = RecordsBuilder::new();
    builder.push(5, None, b"one", &[]);
    producer.send(&place.topic, 0, builder.finish()).unwrap();
    producer.commit().unwrap();
    builder.push(5, None, b"two", &[]);
    producer.send(&place.topic, 0, builder.finish()).unwrap();
    // Brokers look every 10 s for what is overdue.
    std::thread::sleep(Duration::from_secs(13));
    let error = producer.commit().unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    let mut producer = log.producer(&place.gear.name("p")).unwrap();
    builder.push(5, None, b"three", &[]);
    producer.send(&place.topic, 0, builder.finish()).unwrap();
    producer.commit().unwrap();
    let mut values = Vec::new();
    let (mut at, end) = (0, log.range(&place.topic, 0).unwrap().end);
    while at < end {
        let fetched = log.fetch(&place.topic, 0, at, ALL).unwrap();
        values.extend((0..fetched.records.len()).map(|i| fetched.records.value(i).to_vec()));
        at = fetched.next_offset;
    }
    assert_eq!(values, [b"one".to_vec(), b"three".to_vec()]);
    assert_eq!(log.count(&place.topic, 0, end).unwrap().records, 2);
}

#[test]
fn a_broker_that_does_not_answer_is_named() {
    // Nobody listens there.
    let mut nowhere = settings("127.0.0.1:1");
    nowhere.timeout = Duration::from_secs(2);
    let begun = Instant::now();
    let error = KafkaLog::open(&nowhere).err().unwrap();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let mut wrong = settings(&broker());
    wrong.properties.insert("compresion.type".into(), "lz4".into());
    let error = KafkaLog::open(&wrong).err().unwrap();
    assert!(matches!(error, Error::BadPlace { .. }) && error.to_string().contains("compresion.type"), "{error}");
}
