//! The one thread that writes: it commits whatever waits by then in one transaction, so that many requests share a sync of
//! the disk, and tells each request when its records are safe.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use streamreel_topic::{Error, Log, Producer, Records};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::observe::{COLLECTED_RECORDS, COLLECTOR_COMMIT_SECONDS};

/// Requests that may wait for the thread; beyond that more are refused for a moment.
const QUEUE: usize = 1024;
/// A transaction takes no more requests once it has so many bytes of records.
const COMMIT_BYTES: usize = 16 << 20;

/// The records of one request.
pub(super) struct Batch {
    /// Element `p` goes into partition `p`.
    pub(super) records: Vec<Records>,
    /// Memory that the request holds until it is answered.
    pub(super) memory: OwnedSemaphorePermit,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.records.iter().map(Records::bytes).sum()
    }
}

/// Why records were not stored. None of them is in the topic then, as far as the log knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotStored {
    /// Too many requests wait.
    QueueFull,
    /// No room on the disk.
    DiskFull,
    /// Another process holds the log.
    Busy,
    /// The log failed; the server's log says how.
    Failed,
    /// The server is stopping.
    Stopping,
}

type Answer = oneshot::Sender<Result<(), NotStored>>;

/// The way to the thread. The thread ends when the last of these is dropped.
#[derive(Clone)]
pub(super) struct Committer {
    queue: mpsc::Sender<(Batch, Answer)>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the log gives no producer, or the system no thread.
    pub(super) fn start(log: Arc<dyn Log>, topic: &'static str) -> Result<(Self, JoinHandle<()>), super::StartError> {
        let mut writer = Writer::open(log, topic)?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("collector".to_owned());
        let thread = thread.spawn(move || writer.run(waiting)).map_err(super::StartError::Thread)?;
        Ok((Self { queue }, thread))
    }

    /// Returns when the records are on the disk.
    pub(super) async fn store(&self, batch: Batch) -> Result<(), NotStored> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send((batch, answer)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotStored::QueueFull,
            mpsc::error::TrySendError::Closed(_) => NotStored::Stopping,
        })?;
        answered.await.unwrap_or(Err(NotStored::Failed))
    }
}

struct Writer {
    log: Arc<dyn Log>,
    topic: &'static str,
    transactional_id: String,
    /// `None` after a failure that left it uncertain what the producer holds.
    producer: Option<Box<dyn Producer>>,
}

impl Writer {
    fn open(log: Arc<dyn Log>, topic: &'static str) -> Result<Self, super::StartError> {
        // Collectors never take over from one another: each has an id of its own.
        let transactional_id = format!("collector-{}", uuid::Uuid::new_v4());
        let producer = log.producer(&transactional_id).map_err(super::StartError::Log)?;
        Ok(Self { log, topic, transactional_id, producer: Some(producer) })
    }

    fn run(&mut self, mut waiting: mpsc::Receiver<(Batch, Answer)>) {
        while let Some((first, answer)) = waiting.blocking_recv() {
            let mut answers = vec![(answer, first.memory)];
            let mut group = vec![first.records];
            let mut bytes: usize = group[0].iter().map(Records::bytes).sum();
            while bytes < COMMIT_BYTES
                && let Ok((batch, answer)) = waiting.try_recv()
            {
                bytes += batch.bytes();
                group.push(batch.records);
                answers.push((answer, batch.memory));
            }
            let stored = self.store(group);
            for (answer, _memory) in answers {
                // Whoever has gone does not hear that its records are safe.
                let _ = answer.send(stored);
            }
        }
    }

    fn store(&mut self, group: Vec<Vec<Records>>) -> Result<(), NotStored> {
        let began = Instant::now();
        let records: usize = group.iter().flatten().map(Records::len).sum();
        let mut producer = match self.producer.take() {
            Some(producer) => producer,
            // Whatever the one before had not committed is never stored: this one fences it.
            None => self.log.producer(&self.transactional_id).map_err(|error| not_stored(&error))?,
        };
        let stored = send(producer.as_mut(), self.topic, group).or_else(|error| match producer.abort() {
            // The answer of the commit was lost, and the records were not.
            Err(Error::AlreadyCommitted { .. }) => Ok(()),
            Ok(()) => Err((not_stored(&error), true)),
            Err(_) => Err((not_stored(&error), false)),
        });
        self.producer = (!matches!(stored, Err((_, false)))).then_some(producer);
        let stored = stored.map_err(|(why, _)| why);
        if stored.is_ok() {
            metrics::counter!(COLLECTED_RECORDS).increment(records as u64);
            metrics::histogram!(COLLECTOR_COMMIT_SECONDS).record(began.elapsed().as_secs_f64());
        }
        stored
    }
}

fn send(producer: &mut dyn Producer, topic: &str, group: Vec<Vec<Records>>) -> Result<(), Error> {
    for batch in group {
        for (partition, records) in (0..).zip(batch).filter(|(_, records)| !records.is_empty()) {
            producer.send(topic, partition, records)?;
        }
    }
    producer.commit()
}

fn not_stored(error: &Error) -> NotStored {
    tracing::error!(%error, "the collector could not store events");
    match error {
        Error::DiskFull { .. } => NotStored::DiskFull,
        Error::Busy { .. } => NotStored::Busy,
        _ => NotStored::Failed,
    }
}
