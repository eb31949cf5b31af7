//! The state behind the API: the published build, followed in the background, and what was answered from it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use streamreel_audit::Names;
use streamreel_lake::{Build, Lake, TableId};
use streamreel_topic::Log;
use tokio::sync::{Mutex, watch};

use super::answer::Answers;
use super::audit::{self, Audited};
use super::quality::Checked;
use super::videos::Lists;
use crate::gold::Snapshot;
use crate::problem::{Kind, Problem};
use crate::silver::{Engine, Limits, Reader, Trouble};

/// Loading a build may take so long.
const LOADING: Duration = Duration::from_secs(1800);
/// After a build that could not be loaded, the next look waits so many times as long.
const AFTER_FAILURE: u32 = 10;
/// Rows that a query of a client may give.
const MOST_ROWS: usize = 5_000_000;

/// What the API may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of gold's tables that are held in memory; while a new build is loaded, twice as many. Tables that do not fit are
    /// read from the lake.
    pub gold_memory: usize,
    /// Bytes of answers that are kept.
    pub cache_memory: u64,
    /// How long a query may take, in the queue and running.
    pub query_timeout: Duration,
    /// Queries that run at once; each may use a core.
    pub queries_at_once: usize,
    /// How often is looked whether there is a new build.
    pub poll: Duration,
    /// Least time between two audits; after long ones it is ten times as long as they took.
    pub audit_rest: Duration,
    /// The time, in microseconds since 1970.
    pub clock: fn() -> i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gold_memory: 256 << 20,
            cache_memory: 128 << 20,
            query_timeout: Duration::from_secs(20),
            queries_at_once: std::thread::available_parallelism().map_or(2, usize::from),
            poll: Duration::from_secs(1),
            audit_rest: Duration::from_secs(15),
            clock: machine_clock,
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the caller may give another clock")]
fn machine_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What is published.
#[derive(Clone)]
enum Published {
    /// Nothing yet.
    Nothing,
    /// A build, loaded.
    Loaded(Arc<Snapshot>),
    /// A build that could not be loaded; it is tried again.
    Unreadable,
}

/// The API over a lake. Follows the published build as long as it lives.
pub struct Api {
    pub(crate) lake: Lake,
    pub(crate) log: Option<Arc<dyn Log>>,
    pub(crate) names: Names<'static>,
    pub(crate) settings: Settings,
    pub(crate) engine: Engine,
    pub(crate) answers: Answers,
    pub(crate) lists: Lists,
    /// The last look at the quality of what was received.
    pub(crate) checked: Mutex<Option<Arc<Checked>>>,
    pub(crate) audited: watch::Sender<Option<Arc<Audited>>>,
    published: watch::Sender<Published>,
}

impl Api {
    /// Loads the published build, if there is one, and goes on to follow it. `log` is that of the home; without one the
    /// audit looks at the lake alone.
    ///
    /// # Errors
    /// If the system gives no threads. A lake that can't be read is no error: it is said to clients, and tried again.
    pub async fn open(
        lake: Lake,
        log: Option<Arc<dyn Log>>,
        names: Names<'static>,
        settings: Settings,
    ) -> std::io::Result<Arc<Self>> {
        let api = Arc::new(Self {
            engine: Engine::new(settings.queries_at_once)?,
            answers: Answers::new(settings.cache_memory / 4 * 3),
            lists: Lists::new(settings.cache_memory / 4),
            checked: Mutex::default(),
            audited: watch::Sender::default(),
            published: watch::Sender::new(Published::Nothing),
            lake,
            log,
            names,
            settings,
        });
        let seen = api.look(None).await.unwrap_or_default();
        api.engine.start(follow(Arc::downgrade(&api), seen));
        api.engine.start(audit::follow(Arc::downgrade(&api)));
        Ok(api)
    }

    /// The published build that is answered from.
    pub fn build(&self) -> Option<Build> {
        self.loaded().map(|snapshot| snapshot.build.clone())
    }

    /// The title of a video, if it has one and a view in the published build.
    pub fn title(&self, video_id: &str) -> Option<Arc<str>> {
        self.loaded()?.title(video_id)
    }

    /// The last audit; `None` before the first.
    pub fn audited(&self) -> Option<Arc<Audited>> {
        self.audited.borrow().clone()
    }

    /// Bytes of gold that are held in memory.
    pub fn held_bytes(&self) -> usize {
        self.loaded().map_or(0, |snapshot| snapshot.held_bytes)
    }

    /// The build that is answered from; `None` where nothing is published, or can't be read.
    pub(crate) fn loaded(&self) -> Option<Arc<Snapshot>> {
        match &*self.published.borrow() {
            Published::Loaded(snapshot) => Some(Arc::clone(snapshot)),
            Published::Nothing | Published::Unreadable => None,
        }
    }

    /// The build to answer from, or why there is none.
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        match &*self.published.borrow() {
            Published::Loaded(snapshot) => Ok(Arc::clone(snapshot)),
            Published::Nothing => Err(Problem::no_build()),
            Published::Unreadable => {
                let detail = "the published build can't be read; the server's log says why, and it is tried again";
                Err(Problem::new(Kind::Unreadable, detail).retry_after(5))
            }
        }
    }

    /// What a query of a client may use.
    pub(crate) fn limits(&self) -> Limits {
        Limits { time: self.settings.query_timeout, rows: MOST_ROWS }
    }

    /// Reads the tables of a build for a client.
    pub(crate) fn reader<'a>(&'a self, snapshot: &'a Snapshot) -> Reader<'a> {
        snapshot.reader(&self.engine, self.limits())
    }

    /// Loads the published build if it is another than the one seen, by the version of `gold.builds`; gives the version.
    /// Where it can't be loaded, the one before goes on being answered from.
    async fn look(&self, seen: Option<i64>) -> Result<Option<i64>, Trouble> {
        let looked = self.load_newer(seen).await;
        if let Err(trouble) = &looked {
            tracing::error!(%trouble, "the published build can't be loaded");
            self.published.send_if_modified(|published| {
                let is_first = matches!(published, Published::Nothing);
                if is_first {
                    *published = Published::Unreadable;
                }
                is_first
            });
        }
        looked
    }

    async fn load_newer(&self, seen: Option<i64>) -> Result<Option<i64>, Trouble> {
        let Some(builds) = self.lake.open_table(&TableId::gold("builds")).await? else { return Ok(None) };
        let version = Some(builds.version());
        if version == seen {
            return Ok(seen);
        }
        let Some(build) = self.lake.published().await? else { return Ok(version) };
        if self.loaded().is_some_and(|loaded| loaded.build.build_id == build.build_id) {
            return Ok(version);
        }
        let began = std::time::Instant::now();
        let limits = Limits { time: LOADING, rows: usize::MAX };
        let snapshot = Snapshot::load(&self.lake, &self.engine, limits, self.settings.gold_memory, build).await?;
        let (build_id, bytes) = (snapshot.build.build_id.as_str(), snapshot.held_bytes);
        tracing::info!(build_id, bytes, ms = began.elapsed().as_millis(), "a build is loaded");
        self.published.send_replace(Published::Loaded(Arc::new(snapshot)));
        self.answers.forget();
        self.lists.forget();
        Ok(version)
    }
}

/// Looks for new builds until nobody needs the API any more.
async fn follow(api: Weak<Api>, mut seen: Option<i64>) {
    let mut failed = false;
    loop {
        let Some(poll) = api.upgrade().map(|api| api.settings.poll) else { return };
        tokio::time::sleep(if failed { poll * AFTER_FAILURE } else { poll }).await;
        let Some(api) = api.upgrade() else { return };
        let looked = api.look(seen).await;
        failed = looked.is_err();
        seen = looked.unwrap_or(seen);
    }
}
