//! Bronze as it stands, and a log whose commits can be made to fail or to take long.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use streamreel_lake::{Lake, Reading, plan};
use streamreel_topic::{EmbeddedLog, Fetched, Log, Membership, Producer, Records, Result, TopicInfo};

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(future)
}

pub fn lake_in(dir: &std::path::Path) -> Lake {
    Lake::open(dir.join("data_lake")).unwrap()
}

/// Rows of a query as text, one string a row.
pub fn query(lake: &Lake, sql: &str) -> Vec<String> {
    block_on(async {
        let session = lake.session(&Reading::Latest).await.unwrap();
        let batches = plan::sql(&session, sql).await.unwrap().collect().await.unwrap();
        let mut rows = Vec::new();
        for batch in &batches {
            use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
            let options = FormatOptions::default().with_null("NULL");
            let columns: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
            }
        }
        rows
    })
}

/// All columns of all rows, in the order of their source.
pub fn bronze(lake: &Lake) -> Vec<String> {
    query(lake, "SELECT * FROM bronze.events ORDER BY source_partition, source_offset")
}

/// What became of every record according to bronze; none may come twice.
pub fn fates_in_bronze(lake: &Lake) -> BTreeMap<(u32, i64), String> {
    let mut fates = BTreeMap::new();
    for row in query(lake, "SELECT source_partition, source_offset, coalesce(reason, outcome) FROM bronze.events") {
        let mut parts = row.split('|');
        let mut next = || parts.next().unwrap();
        let place = (next().parse().unwrap(), next().parse().unwrap());
        assert_eq!(fates.insert(place, next().to_owned()), None, "{place:?} comes twice");
    }
    fates
}

/// An embedded log whose producers count, wait before and refuse commits.
pub struct Troubled {
    pub log: Arc<EmbeddedLog>,
    /// Commits that still succeed; negative: all do.
    pub commits_left: Arc<AtomicI64>,
    /// Before each commit, in milliseconds.
    pub commit_takes_ms: u64,
    /// Records fetched.
    pub fetched: AtomicU64,
    /// Offsets after each partition's end that a transaction has written and not decided.
    pub undecided: AtomicI64,
}

impl Troubled {
    pub fn new(log: Arc<EmbeddedLog>, commits_left: i64, commit_takes_ms: u64) -> Arc<Self> {
        let commits_left = Arc::new(AtomicI64::new(commits_left));
        Arc::new(Self { log, commits_left, commit_takes_ms, fetched: AtomicU64::new(0), undecided: AtomicI64::new(0) })
    }
}

impl Log for Troubled {
    fn identity(&self, topic: &str) -> Result<String> {
        self.log.identity(topic)
    }
    fn ensure_topic(&self, topic: &str, partitions: u32) -> Result<u32> {
        self.log.ensure_topic(topic, partitions)
    }
    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.log.topics()
    }
    fn range(&self, topic: &str, partition: u32) -> Result<Range<i64>> {
        self.log.range(topic, partition)
    }
    fn written_end(&self, topic: &str, partition: u32) -> Result<i64> {
        Ok(self.log.range(topic, partition)?.end + self.undecided.load(Ordering::SeqCst))
    }
    fn fetch(&self, topic: &str, partition: u32, offset: i64, max_bytes: usize) -> Result<Fetched> {
        let fetched = self.log.fetch(topic, partition, offset, max_bytes)?;
        self.fetched.fetch_add(fetched.records.len() as u64, Ordering::SeqCst);
        Ok(fetched)
    }
    fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64> {
        self.log.offset_at(topic, partition, timestamp_ms)
    }
    fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<i64>> {
        self.log.committed(group, topic, partition)
    }
    fn join(&self, group: &str, topics: &[&str], target: Option<&str>) -> Result<Box<dyn Membership>> {
        self.log.join(group, topics, target)
    }
    fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>> {
        Ok(Box::new(TroubledProducer {
            producer: self.log.producer(transactional_id)?,
            commits_left: Arc::clone(&self.commits_left),
            commit_takes: Duration::from_millis(self.commit_takes_ms),
        }))
    }
    fn data_version(&self) -> Result<u64> {
        self.log.data_version()
    }
}

struct TroubledProducer {
    producer: Box<dyn Producer>,
    commits_left: Arc<AtomicI64>,
    commit_takes: Duration,
}

impl Producer for TroubledProducer {
    fn send(&mut self, topic: &str, partition: u32, records: Records) -> Result<()> {
        self.producer.send(topic, partition, records)
    }
    fn send_offsets(&mut self, group: &str, topic: &str, partition: u32, from: i64, next: i64) -> Result<()> {
        self.producer.send_offsets(group, topic, partition, from, next)
    }
    fn commit(&mut self) -> Result<()> {
        std::thread::sleep(self.commit_takes);
        if self.commits_left.load(Ordering::SeqCst) == 0 {
            return Err(streamreel_topic::Error::DiskFull { path: "nowhere".into() });
        }
        self.commits_left.fetch_sub(1, Ordering::SeqCst);
        self.producer.commit()
    }
    fn abort(&mut self) -> Result<()> {
        self.producer.abort()
    }
}
