//! What transactions cost: the same batches through the log's producer and through an idempotent one without transactions, turn by
//! turn; a line of JSON a round.
//!
//! ```text
//! produce HOST:PORT RECORDS ROUNDS INTERVAL_MS...
//! ```

#[allow(dead_code, reason = "the module is the log's own, of which a part is needed")]
#[path = "../src/kafka/sender.rs"]
mod sender;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::DefaultProducerContext;
use streamreel_topic::{KafkaLog, KafkaSettings, Log, Producer, Records, RecordsBuilder};

type Failure = Box<dyn std::error::Error>;
type Idempotent = sender::Sender<DefaultProducerContext>;

const TOPIC: &str = "produce";
const PARTITIONS: u32 = 4;
/// Records of a batch.
const BATCH: usize = 5_000;
/// Different batches, sent over and over.
const BATCHES: usize = 40;
/// Records before time is taken.
const WARM_UP: usize = 500_000;
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at whether there is room, or whether something has failed.
const TICK: Duration = Duration::from_millis(2);

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [servers, records, rounds, intervals_ms @ ..] = &args[..] else {
        return Err("usage: produce HOST:PORT RECORDS ROUNDS INTERVAL_MS...".into());
    };
    let (records, rounds): (usize, usize) = (records.parse()?, rounds.parse()?);
    let settings = KafkaSettings {
        url: format!("kafka://{servers}"),
        properties: BTreeMap::new(),
        timeout: Duration::from_secs(30),
        stop: Arc::default(),
    };
    let log = KafkaLog::open(&settings)?;
    log.ensure_topic(TOPIC, PARTITIONS)?;
    let batches: Vec<Records> = (0..BATCHES).map(batch).collect();
    let mut transactional = log.producer(TOPIC)?;
    let mut idempotent = idempotent(servers)?;
    // Connections, leaders and the producer's id are there before time is taken.
    let pause = Duration::from_millis(100);
    run(&batches, WARM_UP, pause, &mut in_transactions(&mut *transactional))?;
    run(&batches, WARM_UP, pause, &mut without(&mut idempotent))?;
    for interval_ms in intervals_ms {
        let interval = Duration::from_millis(interval_ms.parse()?);
        for round in 0..rounds {
            let mut with = || run(&batches, records, interval, &mut in_transactions(&mut *transactional));
            let mut without = || run(&batches, records, interval, &mut without(&mut idempotent));
            // Who comes second has a broker that has compiled more, or a machine that has become slower.
            let (with, without) = if round % 2 == 0 {
                (with()?, without()?)
            } else {
                let without = without()?;
                (with()?, without)
            };
            println!(
                "{{\"interval_ms\":{interval_ms},\"transactional_per_s\":{:.0},\"idempotent_per_s\":{:.0},\"commits\":{},\
                 \"commit_ms\":{:.2},\"flush_ms\":{:.2}}}",
                with.per_s, without.per_s, with.ends, with.end_ms, without.end_ms
            );
        }
    }
    Ok(())
}

/// A producer with the settings of the log's own, but for the transactions.
fn idempotent(servers: &str) -> Result<Idempotent, Failure> {
    let own = [("bootstrap.servers", servers), ("enable.idempotence", "true"), ("delivery.report.only.error", "true")];
    let mut config = ClientConfig::new();
    for (name, value) in own.into_iter().chain(sender::DEFAULTS) {
        config.set(name, value);
    }
    Ok(sender::Sender::new(config.create()?))
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

/// What is done by turns.
enum Step<'a> {
    /// So many of them have been before.
    Send(usize, &'a Records),
    /// All is to be with the brokers: committed by the one, flushed by the other.
    End,
}

struct Run {
    per_s: f64,
    /// How often all was with the brokers, and the median time that this took.
    ends: usize,
    end_ms: f64,
}

fn run(
    batches: &[Records],
    records: usize,
    interval: Duration,
    work: &mut dyn FnMut(Step<'_>) -> Result<(), Failure>,
) -> Result<Run, Failure> {
    let (began, count) = (Instant::now(), records.div_ceil(BATCH));
    let (mut due, mut ends_ms) = (began + interval, Vec::new());
    for (number, batch) in (0..count).zip(batches.iter().cycle()) {
        work(Step::Send(number, batch))?;
        let now = Instant::now();
        if now >= due || number + 1 == count {
            work(Step::End)?;
            ends_ms.push(now.elapsed().as_secs_f64() * 1e3);
            due = (due + interval).max(now);
        }
    }
    let took_s = began.elapsed().as_secs_f64();
    ends_ms.sort_by(f64::total_cmp);
    Ok(Run { per_s: (count * BATCH) as f64 / took_s, ends: ends_ms.len(), end_ms: ends_ms[ends_ms.len() / 2] })
}

fn in_transactions(producer: &mut dyn Producer) -> impl FnMut(Step<'_>) -> Result<(), Failure> {
    move |step| {
        match step {
            Step::Send(number, records) => producer.send(TOPIC, number as u32 % PARTITIONS, records.clone())?,
            Step::End => producer.commit()?,
        }
        Ok(())
    }
}

fn without(producer: &mut Idempotent) -> impl FnMut(Step<'_>) -> Result<(), Failure> {
    move |step| {
        let until = Instant::now() + LIMIT;
        // The other one is given a batch of its own, too.
        let batch = match step {
            Step::Send(number, records) => Some((number as u32 % PARTITIONS, records.clone())),
            Step::End => None,
        };
        let mut next = 0;
        loop {
            match &batch {
                Some((partition, records)) => match producer.send(TOPIC, *partition, records, &mut next) {
                    Err(KafkaError::MessageProduction(Code::QueueFull)) => std::thread::sleep(TICK),
                    sent => return Ok(sent?),
                },
                None if producer.flush(TICK) => return Ok(()),
                None => {}
            }
            producer.client().poll(Duration::ZERO);
            if Instant::now() >= until {
                return Err("the broker has not taken everything".into());
            }
        }
    }
}
