//! What can be set, with the defaults of the program.

use std::time::Duration;

use streamreel_dedupe::Window;

use crate::sinks::SinkKind;

/// Whose original bytes bronze keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepPayload {
    /// Of records that are not clean.
    #[default]
    Rejected,
    /// Of every record.
    All,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadFrom {
    /// `video-events`: clean it into the two cleaned topics and land bronze.
    #[default]
    VideoEvents,
    /// The two cleaned topics, whoever wrote them: land bronze.
    Cleaned,
}

/// When a commit is closed, and how much waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) interval: Duration,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    /// Batches.
    pub(crate) queue: usize,
}

/// Settings of a processor.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is read.
    pub from: ReadFrom,
    /// Partitions of a topic that has to be made.
    pub partitions: u32,
    /// How much later a copy may be and still be a duplicate, by record timestamps; whole milliseconds.
    pub dedupe_window: Duration,
    /// The memory bound of the window, all partitions of the topic together: records remembered. About 60 bytes each.
    pub dedupe_max_entries: usize,
    /// Whose original bytes bronze keeps.
    pub keep_payload: KeepPayload,
    /// How long a commit to bronze stays open.
    pub commit_interval: Duration,
    /// How long one to the cleaned topics does: whoever reads them waits for that. It leaves no files behind, but on a Kafka it is a
    /// transaction of each partition.
    pub topics_interval: Duration,
    /// Records after which a commit is closed before its time, all partitions together.
    pub commit_records: usize,
    /// Bytes of results in memory after which a commit is closed before its time, all partitions together.
    pub commit_bytes: usize,
    /// About how many bytes are fetched, and cleaned as one batch.
    pub fetch_bytes: usize,
    /// Batches that wait for a sink before reading stops, all partitions together.
    pub queue: usize,
    /// Threads that read and clean; 0: as many as the machine has cores.
    pub workers: usize,
    /// Consumer group: its members share the partitions, and its offsets are the cleaned topics' progress.
    pub group: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            from: ReadFrom::VideoEvents,
            partitions: 4,
            dedupe_window: Duration::from_secs(600),
            dedupe_max_entries: 8_000_000,
            keep_payload: KeepPayload::Rejected,
            commit_interval: Duration::from_secs(1),
            topics_interval: Duration::from_millis(500),
            commit_records: 250_000,
            commit_bytes: 256 << 20,
            fetch_bytes: 1 << 20,
            queue: 64,
            workers: 0,
            group: crate::names::GROUP.to_owned(),
        }
    }
}

impl Settings {
    /// The window of one of `partitions` partitions. It depends on the topic, not on who works on which part of it.
    pub(crate) fn window(&self, partitions: u32) -> Window {
        let window_ms = i64::try_from(self.dedupe_window.as_millis()).unwrap_or(i64::MAX);
        Window::new(window_ms, self.dedupe_max_entries / partitions.max(1) as usize)
    }

    /// The limits of one commit of a sink: the cleaned topics have one for each of `partitions` partitions.
    pub(crate) fn limits(&self, sink: SinkKind, partitions: u32) -> Limits {
        let share = match sink {
            SinkKind::Topics => partitions.max(1) as usize,
            SinkKind::Bronze => 1,
        };
        Limits {
            interval: self.interval(sink),
            records: (self.commit_records / share).max(1),
            bytes: (self.commit_bytes / share).max(1),
            queue: (self.queue / share).max(1),
        }
    }

    /// How long a commit of a sink stays open.
    fn interval(&self, sink: SinkKind) -> Duration {
        match sink {
            SinkKind::Topics => self.topics_interval,
            SinkKind::Bronze => self.commit_interval,
        }
    }

    /// Threads that read and clean, for so many partitions.
    pub(crate) fn worker_count(&self, partitions: usize) -> usize {
        let wanted = match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        wanted.clamp(1, partitions.max(1))
    }
}
