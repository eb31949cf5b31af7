//! What transactions cost: the same batches through the log's producer and through an idempotent one without transactions, turn by
//! turn; a line of JSON a round.
//!
//! ```text
//! produce HOST:PORT RECORDS ROUNDS
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use streamreel_topic::{KafkaLog, KafkaSettings, Log, Producer, Records, RecordsBuilder};

type Failure = Box<dyn std::error::Error>;

const TOPIC: &str = "produce";
const PARTITIONS: u32 = 4;
/// Records of a batch, and batches after which all is with the brokers: committed by the one, flushed by the other.
const BATCH: usize = 5_000;
const COMMIT: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);
/// The longest wait of one look at what has arrived.
const TICK: Duration = Duration::from_millis(2);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [servers, records, rounds] = &args[..] else { return Err("usage: produce HOST:PORT RECORDS ROUNDS".into()) };
    let (records, rounds): (usize, usize) = (records.parse()?, rounds.parse()?);
    let settings = KafkaSettings {
        url: format!("kafka://{servers}"),
        properties: BTreeMap::new(),
        timeout: Duration::from_secs(30),
    };
    let log = KafkaLog::open(&settings)?;
    log.ensure_topic(TOPIC, PARTITIONS)?;
    let mut transactional = log.producer(TOPIC)?;
    let idempotent = idempotent(servers)?;
    let batches = records.div_ceil(BATCH);
    // Connections, leaders and the producer's id are there before time is taken.
    in_transactions(&mut *transactional, COMMIT)?;
    without(&idempotent, COMMIT)?;
    for _ in 0..rounds {
        let with_s = in_transactions(&mut *transactional, batches)?;
        let without_s = without(&idempotent, batches)?;
        let per_s = |seconds: f64| (batches * BATCH) as f64 / seconds;
        println!("{{\"transactional_per_s\":{:.0},\"idempotent_per_s\":{:.0}}}", per_s(with_s), per_s(without_s));
    }
    Ok(())
}

/// A producer with the settings of the log's own, but for the transactions.
fn idempotent(servers: &str) -> Result<BaseProducer, Failure> {
    let properties = [
        ("bootstrap.servers", servers),
        ("enable.idempotence", "true"),
        ("delivery.report.only.error", "true"),
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("queue.buffering.max.messages", "500000"),
        ("queue.buffering.max.kbytes", "131072"),
    ];
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    Ok(config.create()?)
}

/// Records as `clean-events` has them: a key, and a value of about 250 bytes that compresses as events do.
fn batch(number: usize) -> Records {
    let mut records = RecordsBuilder::default();
    for i in 0..BATCH {
        let id = number * BATCH + i;
        let user = id.wrapping_mul(2_654_435_761) % 200_000;
        let value = format!(
            "{{\"event_id\":\"{id:032x}\",\"event_type\":\"heartbeat\",\"user_id\":\"user-{user}\",\"video_id\":\"video-{}\",\
             \"session_id\":\"s-{user}-{}\",\"position_s\":{}.5,\"duration_s\":1800.0,\"device\":\"tv\",\"country\":\"DE\",\
             \"event_ts\":\"2026-01-01T00:00:00.{:03}Z\"}}",
            user % 2_000,
            id % 30,
            id % 1_800,
            id % 1_000
        );
        records.push(1_767_225_600_000, Some(user.to_string().as_bytes()), value.as_bytes(), &[]);
    }
    records.finish()
}

fn in_transactions(producer: &mut dyn Producer, batches: usize) -> Result<f64, Failure> {
    let mut took = Duration::ZERO;
    for number in 0..batches {
        let records = batch(number);
        let began = Instant::now();
        producer.send(TOPIC, number as u32 % PARTITIONS, records)?;
        if (number + 1) % COMMIT == 0 || number + 1 == batches {
            producer.commit()?;
        }
        took += began.elapsed();
    }
    Ok(took.as_secs_f64())
}

fn without(producer: &BaseProducer, batches: usize) -> Result<f64, Failure> {
    let mut took = Duration::ZERO;
    for number in 0..batches {
        let records = batch(number);
        let began = Instant::now();
        for i in 0..records.len() {
            let mut record = BaseRecord::<[u8], [u8]>::to(TOPIC)
                .partition((number as u32 % PARTITIONS).cast_signed())
                .payload(records.value(i))
                .timestamp(records.timestamp_ms(i));
            if let Some(key) = records.key(i) {
                record = record.key(key);
            }
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.poll(Duration::ZERO);
        if (number + 1) % COMMIT == 0 || number + 1 == batches {
            deliver(producer)?;
        }
        took += began.elapsed();
    }
    Ok(took.as_secs_f64())
}

/// Waits as the log's producer does: the client's own `flush` looks only every tenth of a second.
fn deliver(producer: &BaseProducer) -> Result<(), Failure> {
    let until = Instant::now() + LIMIT;
    while producer.in_flight_count() > 0 {
        if Instant::now() >= until {
            return Err("the broker has not taken everything".into());
        }
        producer.poll(TICK);
    }
    Ok(())
}
