//! The processor: opens what it needs, asks the sinks where they stand, and runs the threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use arrow_schema::SchemaRef;
use streamreel_lake::{Lake, Lease, Table, tables};
use streamreel_topic::{Log, Producer};

use crate::cleaning::{Cleaner, Origin};
use crate::error::{self, Error, Result};
use crate::landing::{CleanedTopic, Lander};
use crate::lane::{Lane, Work};
use crate::names;
use crate::report::{PartitionReport, Progress, Summary};
use crate::settings::{ReadFrom, Settings};
use crate::sinks::{BronzeSink, SinkKind, TopicsSink, runtime};
use crate::threads::{Notice, Reader, Stop, run_sink};
use crate::way;

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to the records that are there when it begins.
    End,
    /// Until it is cancelled.
    Cancelled,
}

/// Moves records from a log to the cleaned topics and to bronze, each exactly once.
///
/// Blocks the calling thread; inside an async program call it from a thread where blocking is allowed.
pub struct Processor {
    log: Arc<dyn Log>,
    settings: Settings,
    /// Partitions of the source topic.
    partitions: u32,
    topics: Option<TopicsSink>,
    bronze: Option<BronzeSink>,
    schema: SchemaRef,
    /// Lanes of the last run; their windows are used again when nothing has moved since.
    lanes: Vec<Lane>,
    /// Who else is at work is told by the lake; held as long as the processor lives.
    _leases: Vec<Lease>,
}

impl Processor {
    /// Makes topics and table where they are missing, and takes over from an older processor, which is fenced from
    /// then on. Without a lake only the cleaned topics are written.
    ///
    /// # Errors
    /// [`Error::Busy`] while another processor works on the same partitions of this lake. [`Error::OtherLog`],
    /// [`Error::OtherWay`] for a lake that was landed from another log or another way.
    pub fn open(log: Arc<dyn Log>, lake: Option<&Lake>, settings: Settings) -> Result<Self> {
        // The lake's futures need a thread without a runtime of the caller's.
        std::thread::scope(|scope| joined(scope.spawn(|| Self::open_here(log, lake, settings))))
    }

    fn open_here(log: Arc<dyn Log>, lake: Option<&Lake>, settings: Settings) -> Result<Self> {
        let partitions = ensure_topics(&*log, &settings)?;
        let worked_on = worked_on(&settings, partitions)?;
        let mut leases = Vec::new();
        let mut bronze = None;
        let mut schema = tables::bronze_events().schema;
        if let Some(lake) = lake {
            let runtime = runtime()?;
            let names: Vec<String> = worked_on.iter().map(|partition| format!("process-{partition}")).collect();
            leases = runtime.block_on(lake.leases(&names)).map_err(error::lake("take the processor's leases"))?;
            let mut table = runtime.block_on(open_bronze(lake))?;
            runtime.block_on(way::settle(&mut table, &*log, &settings, partitions))?;
            schema = table.schema();
            bronze = Some(BronzeSink::new(table, Vec::new())?);
        }
        let topics = match settings.from {
            ReadFrom::VideoEvents => Some(TopicsSink::new(producer(&*log, &settings)?, settings.group.clone())),
            ReadFrom::Cleaned if bronze.is_none() => return Err(Error::NoLake),
            ReadFrom::Cleaned => None,
        };
        Ok(Self { log, settings, partitions, topics, bronze, schema, lanes: Vec::new(), _leases: leases })
    }

    /// Asks the sinks where they stand, goes on at the lowest, and runs until `until` or until `cancel` is true; then the open commits
    /// are finished. `progress` is called after every commit.
    ///
    /// # Errors
    /// [`Error::Fenced`] when another processor has taken over. After any error the open commits are given up;
    /// what was committed stays, and a new run goes on from there.
    pub fn run(&mut self, until: Until, cancel: &AtomicBool, progress: &dyn Fn(&Progress)) -> Result<Summary> {
        let begun = Instant::now();
        let lanes = self.plan(until)?;
        let mut report =
            Progress { partitions: lanes.iter().map(|(_, report)| report.clone()).collect(), ..Progress::default() };
        let lanes = lanes.into_iter().map(|(lane, _)| lane).collect();
        let stop = Stop { cancel, failed: AtomicBool::new(false) };
        let finished = self.run_threads(lanes, &stop, |notice| {
            take(&mut report, notice);
            report.elapsed_s = begun.elapsed().as_secs_f64();
            progress(&report);
        });
        self.lanes = finished?;
        report.elapsed_s = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Starts the threads, passes their notices on, and gives the lanes back when all have ended.
    fn run_threads(&mut self, lanes: Vec<Lane>, stop: &Stop<'_>, mut notice: impl FnMut(Notice)) -> Result<Vec<Lane>> {
        let Self { log, settings, topics, bronze, .. } = self;
        let (log, settings): (&dyn Log, &Settings) = (&**log, settings);
        let (notices, noticed) = channel();
        std::thread::scope(|scope| {
            let mut sinks = Vec::new();
            let to_topics = topics.as_mut().map(|sink| {
                let (queue, parts) = sync_channel(settings.queue);
                let notices = notices.clone();
                sinks.push(scope.spawn(move || stop.watch(run_sink(sink, &parts, settings, stop, &notices))));
                queue
            });
            let to_bronze = bronze.as_mut().map(|sink| {
                let (queue, parts) = sync_channel(settings.queue);
                let notices = notices.clone();
                sinks.push(scope.spawn(move || stop.watch(run_sink(sink, &parts, settings, stop, &notices))));
                queue
            });
            let readers: Vec<_> = split(lanes, settings)
                .into_iter()
                .map(|lanes| {
                    let (notices, topics, bronze) = (notices.clone(), to_topics.clone(), to_bronze.clone());
                    let reader = Reader { log, settings, stop, notices, topics, bronze };
                    scope.spawn(move || stop.watch(reader.run(lanes)))
                })
                .collect();
            drop((notices, to_topics, to_bronze));
            pass_on(&noticed, &mut notice);
            let sinks: Vec<Result<()>> = sinks.into_iter().map(joined).collect();
            let mut lanes = Vec::new();
            let mut failure = sinks.into_iter().find_map(Result::err);
            for reader in readers {
                match joined(reader) {
                    Ok(mut read) => lanes.append(&mut read),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            failure.map_or(Ok(lanes), Err)
        })
    }

    /// The lanes of a run, each from the lowest offset at which a sink stands.
    fn plan(&mut self, until: Until) -> Result<Vec<(Lane, PartitionReport)>> {
        let mut kept: BTreeMap<(String, u32), Lane> = std::mem::take(&mut self.lanes)
            .into_iter()
            .map(|lane| ((lane.topic.clone(), lane.partition), lane))
            .collect();
        let mut planned = Vec::new();
        let mut sources = Vec::new();
        for topic in self.settings.from.topics() {
            let identity = self.log.identity(topic).map_err(error::log("ask for the identity of the log"))?;
            let landed = match &mut self.bronze {
                None => None,
                Some(sink) => Some(std::thread::scope(|scope| {
                    joined(scope.spawn(|| runtime()?.block_on(way::landed(&mut sink.table, &identity, topic))))
                })?),
            };
            for partition in worked_on(&self.settings, self.partitions)? {
                let bronze = landed.as_ref().map(|landed| landed.get(&partition).copied());
                let kept = kept.remove(&((*topic).to_owned(), partition));
                let source = Source { topic, identity: &identity, partition, index: planned.len() };
                planned.push(self.lane(&source, bronze, until, kept)?);
                sources.push((identity.clone(), (*topic).to_owned()));
            }
        }
        if let Some(sink) = &mut self.bronze {
            sink.lanes = sources;
        }
        Ok(planned)
    }

    fn lane(
        &self,
        source: &Source<'_>,
        bronze: Option<Option<i64>>,
        until: Until,
        kept: Option<Lane>,
    ) -> Result<(Lane, PartitionReport)> {
        let (topic, partition) = (source.topic, source.partition);
        let range = self.log.range(topic, partition).map_err(error::log("ask for the range of the topic"))?;
        let stands = |sink: &'static str, stands: Option<i64>| {
            let (topic, stands) = (topic.to_owned(), stands.unwrap_or(range.start));
            if stands > range.end {
                return Err(Error::LogBehind { sink, topic, partition, stands, end: range.end });
            }
            if stands < range.start {
                return Err(Error::RetentionAhead { sink, topic, partition, stands, first: range.start });
            }
            Ok(stands)
        };
        let topics_from = match &self.topics {
            None => None,
            Some(sink) => {
                let committed = self
                    .log
                    .committed(&sink.group, topic, partition)
                    .map_err(error::log("ask for the group's offset"))?;
                Some(stands("the cleaned topics", committed)?)
            }
        };
        let bronze_from = bronze.map(|landed| stands("bronze.events", landed)).transpose()?;
        let from = [topics_from, bronze_from].into_iter().flatten().min().unwrap_or(range.start);
        let kept = kept.filter(|lane| lane.covered == from).map(|lane| lane.work);
        let is_rebuilt = kept.is_some() || matches!(self.settings.from, ReadFrom::Cleaned);
        let lane = Lane {
            index: source.index,
            topic: topic.to_owned(),
            partition,
            at: from,
            covered: from,
            end: (until == Until::End).then_some(range.end),
            topics_from,
            bronze_from,
            work: kept.unwrap_or_else(|| self.work(source)),
            is_rebuilt,
        };
        let report = PartitionReport {
            topic: topic.to_owned(),
            partition,
            from,
            topics_next: topics_from,
            bronze_next: bronze_from,
            end: range.end,
            remembered: 0,
        };
        Ok((lane, report))
    }

    fn work(&self, source: &Source<'_>) -> Work {
        let (partition, schema) = (source.partition, self.schema.clone());
        match source.topic {
            names::CLEAN_EVENTS => Work::Land(Box::new(Lander::new(CleanedTopic::CleanEvents, partition, schema))),
            names::DEAD_LETTERS => Work::Land(Box::new(Lander::new(CleanedTopic::DeadLetters, partition, schema))),
            topic => {
                let origin = Origin { log: source.identity.to_owned(), topic: topic.to_owned(), partition };
                let window = self.settings.window(self.partitions);
                Work::Clean(Box::new(Cleaner::new(origin, window, self.settings.keep_payload, schema)), window)
            }
        }
    }
}

/// A partition of a topic that is read.
struct Source<'a> {
    topic: &'a str,
    identity: &'a str,
    partition: u32,
    index: usize,
}

/// Makes the three topics with the same number of partitions, which it returns.
fn ensure_topics(log: &dyn Log, settings: &Settings) -> Result<u32> {
    let ensure = |topic: &str, partitions| log.ensure_topic(topic, partitions).map_err(error::log("make the topics"));
    let needs = ensure(names::VIDEO_EVENTS, settings.partitions)?;
    for topic in [names::CLEAN_EVENTS, names::DEAD_LETTERS] {
        let has = ensure(topic, needs)?;
        if has != needs {
            return Err(Error::Partitions { topic: topic.to_owned(), has, needs });
        }
    }
    Ok(needs)
}

fn worked_on(settings: &Settings, partitions: u32) -> Result<Vec<u32>> {
    let mut only = settings.only.clone().unwrap_or_else(|| (0..partitions).collect());
    only.sort_unstable();
    only.dedup();
    match only.iter().find(|partition| **partition >= partitions) {
        None => Ok(only),
        Some(partition) => {
            Err(Error::NoPartition { topic: names::VIDEO_EVENTS.to_owned(), partition: *partition, partitions })
        }
    }
}

/// The producer of the cleaned topics. Processors of other partitions have other ids, so that they do not fence each other.
fn producer(log: &dyn Log, settings: &Settings) -> Result<Box<dyn Producer>> {
    let id = match &settings.only {
        None => format!("{}.process", settings.group),
        Some(only) => {
            let numbers: Vec<String> = only.iter().map(u32::to_string).collect();
            format!("{}.process.{}", settings.group, numbers.join("."))
        }
    };
    log.producer(&id).map_err(error::log("open the producer of the cleaned topics"))
}

async fn open_bronze(lake: &Lake) -> Result<Table> {
    lake.create(&tables::bronze_events()).await.map_err(error::lake("open bronze.events"))
}

/// Deals the lanes out to the readers.
fn split(lanes: Vec<Lane>, settings: &Settings) -> Vec<Vec<Lane>> {
    let mut split: Vec<Vec<Lane>> = (0..settings.worker_count(lanes.len())).map(|_| Vec::new()).collect();
    let readers = split.len();
    for (i, lane) in lanes.into_iter().enumerate() {
        split[i % readers].push(lane);
    }
    split
}

fn pass_on(noticed: &Receiver<Notice>, notice: &mut impl FnMut(Notice)) {
    for told in noticed {
        notice(told);
    }
}

/// Waits for a thread; its panic goes on in this one.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn take(report: &mut Progress, notice: Notice) {
    match notice {
        Notice::Rebuilt(rebuilt) => report.rebuilt.push(rebuilt),
        Notice::Committed { sink, lanes, counts } => {
            report.counts.add(&counts);
            for reached in lanes {
                let partition = &mut report.partitions[reached.lane];
                partition.remembered = reached.remembered;
                match sink {
                    SinkKind::Topics => partition.topics_next = Some(reached.next),
                    SinkKind::Bronze => partition.bronze_next = Some(reached.next),
                }
            }
            match sink {
                SinkKind::Topics => report.topics_commits += 1,
                SinkKind::Bronze => report.bronze_commits += 1,
            }
        }
    }
}
