//! The processor: opens what it needs, joins its group, and runs shift after shift until it is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_schema::SchemaRef;
use streamreel_lake::{Lake, Table, tables};
use streamreel_topic::Log;

use crate::arrival::Keepers;
use crate::cleaning::Origin;
use crate::error::{self, Error, Result};
use crate::ledger::Ledger;
use crate::names;
use crate::positions::{Goal, Positions};
use crate::report::{Progress, Summary};
use crate::settings::{ReadFrom, Settings};
use crate::shift::{self, Task};
use crate::sinks::{BronzeSink, Sink, runtime};
use crate::watch::Watch;
use crate::way;

/// A processor that others have taken over from so often without having committed anything meanwhile gives up.
const MOST_TAKEN_OVER: u32 = 10;
/// Before it joins its group anew.
const BREATH: Duration = Duration::from_millis(200);

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Until all partitions are processed up to the records that can be read when it begins, by this processor or by others of its
    /// group; [`Progress::undecided`] says what else was written by then.
    End,
    /// Until it is cancelled.
    Cancelled,
    /// Until it is cancelled, and then what is there by then of the partitions that it has.
    Drained,
}

/// Moves records from a log to the cleaned topics and to bronze, each exactly once. Several processors of one log and lake, wherever they
/// run, share the partitions.
///
/// Blocks the calling thread; inside an async program call it from a thread where blocking is allowed.
pub struct Processor {
    log: Arc<dyn Log>,
    settings: Settings,
    /// Partitions of a topic.
    partitions: u32,
    /// All partitions of the topics that are read.
    origins: Vec<Arc<Origin>>,
    bronze: Option<Bronze>,
    schema: SchemaRef,
}

struct Bronze {
    sink: BronzeSink,
    /// Is asked where bronze stands.
    table: Mutex<Table>,
    /// Of the table.
    identity: String,
}

impl Processor {
    /// Makes topics and table where they are missing. Without a lake only the cleaned topics are written.
    ///
    /// # Errors
    /// [`Error::OtherLog`], [`Error::OtherWay`] for a lake that was landed from another log or another way.
    pub fn open(log: Arc<dyn Log>, lake: Option<&Lake>, settings: Settings) -> Result<Self> {
        // The lake's futures need a thread without a runtime of the caller's.
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| Self::open_here(log, lake, settings));
            opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn open_here(log: Arc<dyn Log>, lake: Option<&Lake>, settings: Settings) -> Result<Self> {
        let partitions = ensure_topics(&*log, &settings)?;
        let mut bronze = None;
        let mut schema = tables::bronze_events().schema;
        if let Some(lake) = lake {
            let runtime = runtime()?;
            let mut table = runtime.block_on(open_bronze(lake))?;
            let way = runtime.block_on(way::settle(&mut table, &*log, &settings, partitions))?;
            schema = table.schema();
            let identity = table.identity().map_err(error::lake("ask for the identity of bronze.events"))?;
            bronze = Some(Bronze { table: Mutex::new(table.clone()), sink: BronzeSink::new(table, way)?, identity });
        }
        if settings.from == ReadFrom::Cleaned && bronze.is_none() {
            return Err(Error::NoLake);
        }
        let mut origins = Vec::new();
        for topic in settings.from.topics() {
            let identity = log.identity(topic).map_err(error::log("ask for the identity of the log"))?;
            origins
                .extend((0..partitions).map(|partition| {
                    Arc::new(Origin { log: identity.clone(), topic: (*topic).to_owned(), partition })
                }));
        }
        Ok(Self { log, settings, partitions, origins, bronze, schema })
    }

    /// Joins the group, takes partitions over as they are given, goes on in each where the sinks stand, and runs until `until` or until
    /// `cancel` is true; then the open commits are finished and the group is left. `progress` is called after every commit, and
    /// when partitions were given or taken.
    ///
    /// # Errors
    /// [`Error::Fenced`] when others take over again and again although the group gives the partitions to this one. After any error
    /// the open commits are given up; what was committed stays, and a new run goes on from there.
    pub fn run(&mut self, until: Until, cancel: &AtomicBool, progress: &dyn Fn(&Progress)) -> Result<Summary> {
        let begun = Instant::now();
        let tell = |report: &mut Progress| {
            report.elapsed_s = begun.elapsed().as_secs_f64();
            progress(report);
        };
        let mut report = Progress::default();
        let mut goal = self.goal(until)?;
        let (mut in_a_row, mut commits) = (0, 0);
        while goal.as_ref().is_none_or(|goal| !goal.is_empty()) {
            let worked = self.work(until, cancel, goal.as_mut(), &mut report, &tell);
            // It has left the group.
            report.assigned = 0;
            tell(&mut report);
            match worked {
                Ok(()) => break,
                Err(Error::Fenced { .. }) if cancel.load(Ordering::Relaxed) => break,
                Err(error @ Error::Fenced { .. }) => {
                    let committed = report.topics_commits + report.bronze_commits;
                    in_a_row = if committed > commits { 1 } else { in_a_row + 1 };
                    commits = committed;
                    if in_a_row > MOST_TAKEN_OVER {
                        return Err(error);
                    }
                    report.taken_over += 1;
                    tell(&mut report);
                    std::thread::sleep(BREATH);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(goal) = &goal {
            report.undecided = goal.undecided(&*self.log)?;
        }
        report.elapsed_s = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// What a run to the end has before it; empty where everything is done.
    fn goal(&self, until: Until) -> Result<Option<Goal>> {
        if until != Until::End {
            return Ok(None);
        }
        let origins = || self.origins.iter().map(|origin| &**origin);
        let mut goal = Goal::of(&*self.log, origins())?;
        goal.is_reached(&self.positions(), origins())?;
        Ok(Some(goal))
    }

    fn positions(&self) -> Positions<'_> {
        positions(&*self.log, &self.settings, self.bronze.as_ref().map(|bronze| &bronze.table))
    }

    /// One shift.
    fn work(
        &mut self,
        until: Until,
        cancel: &AtomicBool,
        goal: Option<&mut Goal>,
        report: &mut Progress,
        tell: &dyn Fn(&mut Progress),
    ) -> Result<()> {
        let (log, settings) = (&*self.log, &self.settings);
        let group = settings.from.group(&settings.group);
        // The lake by the identity of its table: one that is reached by other names is the same.
        let lake = self.bronze.as_ref().map(|bronze| &*bronze.identity);
        let membership = log.join(&group, settings.from.topics(), lake).map_err(error::log("join the group"))?;
        let (mut sink, table) = match &mut self.bronze {
            Some(bronze) => (Some(&mut bronze.sink), Some(&bronze.table)),
            None => (None, None),
        };
        let positions = positions(log, settings, table);
        let (notices, noticed) = channel();
        let watch = Watch::new(&*membership);
        let keepers = Keepers {
            log,
            settings,
            partitions: self.partitions,
            positions: &positions,
            schema: self.schema.clone(),
            watch: &watch,
            notices,
        };
        let task = Task { origins: &self.origins, membership: &*membership, until, cancel, goal };
        if let Some(sink) = &mut sink {
            // Of a shift that failed.
            sink.abort();
        }
        shift::work(task, Ledger::new(report, tell), &keepers, sink, &noticed);
        drop(keepers);
        watch.into_result()
    }
}

fn positions<'a>(log: &'a dyn Log, settings: &'a Settings, bronze: Option<&'a Mutex<Table>>) -> Positions<'a> {
    let group = (settings.from == ReadFrom::VideoEvents).then_some(&*settings.group);
    Positions { log, group, bronze }
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

async fn open_bronze(lake: &Lake) -> Result<Table> {
    lake.create(&tables::bronze_events()).await.map_err(error::lake("open bronze.events"))
}
